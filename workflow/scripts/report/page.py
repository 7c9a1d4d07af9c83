"""Write the report page and the Word file (rule report_page)."""

import json
from pathlib import Path

from glymph.common.job import run
from glymph.common.provenance import software
from glymph.report.page import picture, render
from glymph.report.results import load_results
from glymph.report.word import document


def main(snakemake):
    params, source, out = snakemake.params, snakemake.input, snakemake.output
    folder = Path(source.decisions).parent
    results = load_results(folder, params.settings, list(source.agreement))
    drawn = sorted(Path(source.figures).glob("*.png"))
    provenance = {
        "sources": [params.table],
        "software": software(),
        "parameters": json.dumps(params.config, indent=2, ensure_ascii=False, default=str),
    }
    html = render(
        results, {p.stem: picture(p) for p in drawn}, params.imaging, provenance, params.pages
    )
    Path(out.page).write_text(html, encoding="utf-8")
    document(results, params.imaging, provenance["software"], drawn).save(out.word)


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
