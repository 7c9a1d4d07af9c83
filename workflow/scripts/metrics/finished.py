"""Note what a unit was made of (rule metrics_finished)."""

from glymph.common.job import run
from glymph.common.sidecars import write_json
from glymph.inputs.plan import finished


def main(snakemake):
    note = finished(snakemake.params.made, snakemake.input.record)
    write_json(note, snakemake.output.note)


if __name__ == "__main__":
    run(main, snakemake, pass_stops=False)  # noqa: F821
