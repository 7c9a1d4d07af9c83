"""Decide who is analysed (rule stats_cohort)."""

from dataclasses import asdict

from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.tables import read_tsv
from glymph.stats.analysed import opened, select, settle, without_rejected
from glymph.stats.harmonise import combat
from glymph.stats.tables import write


def main(snakemake):
    params, out = snakemake.params, snakemake.output
    frame, settings, said = opened(
        snakemake.input.table, params.columns, params.settings, params.ranges
    )
    frame, rejected = without_rejected(frame, read_tsv(snakemake.input.rejected))
    plan = settle(frame, settings, params.groups)
    cohort = select(frame, plan, settings, params.left_out, rejected)
    analysed, notes = cohort.frame, [*said, *cohort.notes]
    if params.unfinished:
        late = f"{params.unfinished} subject-sessions are not finished and are not in the table"
        notes.insert(0, f"{late}; who and why: group/exclusions.tsv")
    if settings["site"] == "combat":
        analysed, more = combat(analysed, plan)
        notes += more
    made = stamp(list(snakemake.input), dict(params.settings))
    write("analysed", analysed.to_dict("records"), out.analysed, made)
    write("analysed", cohort.everything.to_dict("records"), out.sessions, made)
    write("left_out", cohort.left_out, out.left_out, made)
    counts = analysed["group"].value_counts().reindex(plan.groups)
    sessions = {"basis": cohort.order.basis, "problem": cohort.order.problem}
    decided = {"plan": asdict(plan), "n": counts.to_dict(), "notes": notes, "sessions": sessions}
    write_json(decided | made, out.decisions)
    print(f"{len(analysed)} analysed, {len(cohort.left_out)} left out", *notes, sep="\n")


if __name__ == "__main__":
    run(main, snakemake, leave_stops=False)  # noqa: F821
