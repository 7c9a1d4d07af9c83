"""Collect the ratings (rule review_ratings)."""

from pathlib import Path

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.tables import write_tsv
from glymph.review.definitions import columns, described
from glymph.review.ratings import agreement, latest, read_ratings, rejected


def main(snakemake):
    params, out = snakemake.params, snakemake.output
    rows = latest(row for path in snakemake.input.ratings for row in read_ratings(path))
    tables = {
        "ratings": (rows, out.ratings),
        "rejected": (rejected(rows, params.reject_if), out.rejected),
        "rating_agreement": (agreement(rows), out.agreement),
    }
    made = stamp(list(snakemake.input.ratings), {"reject_if": params.reject_if})
    for name, (content, path) in tables.items():
        write_tsv(content, path, columns(name))
        write_json({"Columns": described(name)} | made, Path(path).with_suffix(".json"))


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
