"""Models of scores and counts: nested, moderated, mediated; rate ratios (rule stats_regression)."""

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import read_json
from glymph.stats.analysed import as_called, reload, same_rows
from glymph.stats.counts import rates
from glymph.stats.mediation import mediate
from glymph.stats.regression import moderated, nested
from glymph.stats.tables import write


def main(snakemake):
    source, out, settings = snakemake.input, snakemake.output, snakemake.params.settings
    decided = read_json(source.decisions)["plan"]
    frame, plan = reload(source.analysed, decided)
    named, _ = as_called(settings, frame)
    measured = same_rows(reload(source.sessions, decided)[0], frame)
    made = stamp([source.analysed], dict(settings))
    tests, slopes = moderated(frame, plan)
    write("regression", nested(frame, plan), out.models, made)
    write("moderation", tests, out.moderation, made)
    write("simple_slopes", slopes, out.simple_slopes, made)
    write("counts", rates(measured, plan, settings["site"]), out.counts, made)
    write("mediation", mediate(frame, plan, named), out.mediation, made)


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
