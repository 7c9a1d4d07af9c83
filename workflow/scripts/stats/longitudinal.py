"""Fit mixed models to subjects with several sessions (rule stats_longitudinal)."""

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import read_json
from glymph.stats.analysed import reload
from glymph.stats.longitudinal import mixed_models
from glymph.stats.tables import write


def main(snakemake):
    source, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    decided = read_json(source.decisions)
    frame, plan = reload(source.sessions, decided["plan"])
    rows = mixed_models(frame, plan, decided["sessions"]["problem"], settings["site"])
    write("longitudinal", rows, out.table,
          stamp([source.sessions], dict(settings)))  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
