"""Write the page of the cohort (rule review_page)."""

from pathlib import Path

from glymph.common.job import run
from glymph.common.tables import read_tsv
from glymph.review.page import page_data, render


def main(snakemake):
    source, params = snakemake.input, snakemake.params
    tables = (read_tsv(source[n]) for n in ("table", "flags", "exclusions", "ratings"))
    data = page_data([tuple(unit) for unit in params.units], *tables, dict(params.thresholds))
    Path(snakemake.output.page).write_text(render(data), encoding="utf-8")


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
