"""Run the BIDS validator (rule inputs_validate)."""

from glymph.common.job import run
from glymph.common.tables import write_tsv
from glymph.inputs.validate import COLUMNS, validate


def main(snakemake):
    rows = validate(snakemake.params.bids_dir)
    write_tsv(rows, snakemake.output.table, COLUMNS)
    errors = sum(row["severity"] == "error" for row in rows)
    print(f"{errors} errors, {len(rows) - errors} warnings")


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
