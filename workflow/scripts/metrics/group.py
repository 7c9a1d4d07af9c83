"""Make the cohort's tables (rule metrics_group)."""

from glymph.common.job import run
from glymph.common.provenance import software
from glymph.common.sidecars import read_json, write_json
from glymph.common.tables import write_tsv
from glymph.inputs.cohort import load_participants, unmatched
from glymph.inputs.index import read_index
from glymph.metrics.exclusions import EXCLUSION_COLUMNS, exclusions
from glymph.metrics.flags import FLAG_COLUMNS, flag_rows
from glymph.metrics.table import describe, table, with_given_volumes


def main(snakemake):
    config, out = snakemake.params.config, snakemake.output
    index, out_of_run = read_index(snakemake.params.index_file), snakemake.params.left_out
    records = [read_json(path) for path in snakemake.input.records]
    participants = load_participants(config, index.scans, out_of_run)
    used = [name for name, column in config["participants"]["columns"].items() if column]
    records = with_given_volumes(records, participants, config["qc"]["thresholds"])
    flagged = flag_rows(records, config["qc"]["outlier_z"])
    rows, columns = table(records, participants, used, config["alps"], flagged)
    without = unmatched(index.scans, participants, out_of_run) if participants else []
    left_out = exclusions(
        index.scans, records, participants, without, out_of_run, config["epvs"], index.unused
    )
    write_tsv(rows, out.table, columns)
    write_json(describe(columns, dict(config), software()), out.description)
    write_tsv(left_out, out.exclusions, EXCLUSION_COLUMNS)
    write_tsv(flagged, out.flags, FLAG_COLUMNS)


if __name__ == "__main__":
    run(main, snakemake, pass_stops=False)  # noqa: F821
