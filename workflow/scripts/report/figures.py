"""Draw the figures (rule report_figures)."""

from pathlib import Path

from glymph.common.job import run
from glymph.report.figures import draw_all, save
from glymph.report.results import load_results


def main(snakemake):
    folder = Path(snakemake.output.folder)
    folder.mkdir(parents=True, exist_ok=True)
    results = load_results(
        Path(snakemake.input.decisions).parent,
        snakemake.params.settings,
        list(snakemake.input.agreement),
    )
    for name, figure in draw_all(results).items():
        save(figure, folder, name)
        print(f"drew {name}", flush=True)


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
