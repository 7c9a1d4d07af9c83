"""Compare the groups in every metric (rule stats_comparison)."""

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import read_json
from glymph.stats.analysed import reload
from glymph.stats.comparison import compare_all
from glymph.stats.sensitivity import sensitivity
from glymph.stats.tables import write


def main(snakemake):
    source, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    frame, plan = reload(source.analysed, read_json(source.decisions)["plan"])
    found = compare_all(frame, plan, settings)
    made = stamp([source.analysed], dict(settings))
    write("comparison", found["tests"], out.tests, made)
    write("pairs", found["pairs"], out.pairs, made)
    write("groups", found["groups"], out.groups, made)
    write("sensitivity", sensitivity(frame, plan, settings), out.sensitivity, made)


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
