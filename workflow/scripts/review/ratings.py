"""Collect the ratings (rule review_ratings)."""

from pathlib import Path

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.tables import write_tsv
from glymph.review.definitions import columns, described
from glymph.review.object_ratings import latest_objects, object_agreement, read_objects
from glymph.review.ratings import agreement, latest, read_ratings, rejected


def main(snakemake):
    source, params, out = snakemake.input, snakemake.params, snakemake.output
    objects = latest_objects(row for path in source.objects for row in read_objects(path))
    rows = latest(row for path in source.ratings for row in read_ratings(path))
    tables = {
        "ratings": (rows, out.ratings),
        "rejected": (rejected(rows, params.reject_if), out.rejected),
        "rating_agreement": (agreement(rows) + object_agreement(objects), out.agreement),
    }
    made = stamp([*source.ratings, *source.objects], {"reject_if": params.reject_if})
    for name, (content, path) in tables.items():
        write_tsv(content, path, columns(name))
        write_json({"Columns": described(name)} | made, Path(path).with_suffix(".json"))


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
