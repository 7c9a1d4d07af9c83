"""Collect one unit's metrics (rule metrics_unit)."""

from glymph.common.job import run
from glymph.common.names import Unit
from glymph.common.sidecars import write_json
from glymph.metrics.unit import unit_record


def main(snakemake):
    unit = Unit.from_prefix(snakemake.wildcards.prefix)
    source, params = snakemake.input, snakemake.params
    record = unit_record(
        unit, list(source.facts), list(source.checks), params.thresholds, list(params.corrected)
    )
    write_json(record, snakemake.output.record)


if __name__ == "__main__":
    run(main, snakemake, pass_stops=False)  # noqa: F821
