"""Fit mixed models to subjects with several sessions (rule stats_longitudinal)."""

from glymph.common.images import read_json
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.stats.cohort import reload
from glymph.stats.longitudinal import mixed_models
from glymph.stats.tables import write


def main(snakemake):
    source, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    frame, plan = reload(source.sessions, read_json(source.decisions)["plan"])
    write("longitudinal", mixed_models(frame, plan), out.table,
          stamp([source.sessions], dict(settings)))  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
