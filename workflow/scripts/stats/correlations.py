"""Correlate metrics with scores, and ALPS with perivascular spaces (rule stats_correlations)."""

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import read_json
from glymph.stats.analysed import reload
from glymph.stats.correlation import alps_with_epvs, beyond_ratio, with_scores
from glymph.stats.tables import write


def main(snakemake):
    source, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    frame, plan = reload(source.analysed, read_json(source.decisions)["plan"])
    made = stamp([source.analysed], dict(settings))
    write("correlations", with_scores(frame, plan, settings), out.scores, made)
    write("alps_beyond_ratio", beyond_ratio(frame, plan, settings), out.beyond_ratio, made)
    write("alps_epvs", alps_with_epvs(frame, plan), out.alps_epvs, made)


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
