"""Draw the figures (rule report_figures)."""

from pathlib import Path

import matplotlib.pyplot as plt

from glymph.common.job import run
from glymph.report.figures import draw_all
from glymph.report.results import load_results

FORMATS = {"png": {"dpi": 200}, "svg": {}, "pdf": {}}


def main(snakemake):
    folder = Path(snakemake.output.folder)
    folder.mkdir(parents=True, exist_ok=True)
    results = load_results(
        Path(snakemake.input.decisions).parent,
        snakemake.params.settings,
        list(snakemake.input.agreement),
    )
    for name, figure in draw_all(results).items():
        for kind, options in FORMATS.items():
            # No date in the files: the same results give the same bytes.
            metadata = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
            path = folder / f"{name}.{kind}"
            figure.savefig(path, metadata=metadata, bbox_inches="tight", **options)
        plt.close(figure)
        print(f"drew {name}", flush=True)


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
