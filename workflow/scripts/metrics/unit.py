"""Collect one unit's metrics (rule metrics_unit)."""

from glymph.common.images import write_json
from glymph.common.job import run
from glymph.common.names import Unit
from glymph.metrics.unit import unit_record


def main(snakemake):
    unit = Unit.from_prefix(snakemake.wildcards.prefix)
    record = unit_record(unit, list(snakemake.input.facts), list(snakemake.input.checks))
    write_json(record, snakemake.output.record)


if __name__ == "__main__":
    run(main, snakemake, pass_stops=False)  # noqa: F821
