"""Collect the agreement with raters (rule metrics_agreement)."""

from glymph.common.errors import read_stop
from glymph.common.job import run
from glymph.common.names import Unit
from glymph.common.sidecars import read_json, write_json
from glymph.common.tables import write_tsv
from glymph.epvs.agreement import MEASURES
from glymph.inputs.cohort import load_participants
from glymph.inputs.index import Scan
from glymph.metrics.agreement import DESCRIPTIONS, KEYS, long_table, summary


def main(snakemake):
    named = [Scan(Unit.from_ids(*unit)) for unit in snakemake.params.units]
    others = snakemake.params.namesakes
    participants = load_participants(snakemake.params.config, named, others)
    units = []
    for path, (subject, session) in zip(snakemake.input.facts, snakemake.params.units, strict=True):
        if not read_stop(path):
            unit = Unit.from_ids(subject, session)
            group = participants.of(unit).get("group") if participants else None
            identity = {"participant_id": subject, "session_id": session, "group": group}
            units.append((identity, read_json(path)["rows"]))
    rows = long_table(units)
    made = {"reference_made": snakemake.params.reference}
    out = snakemake.output
    write_tsv([r | made for r in rows], out.table, [*KEYS, *MEASURES, *made])
    columns = ["result", "reference", "measure", "group", "n", "median", "q1", "q3", *made]
    write_tsv([r | made for r in summary(rows, list(MEASURES))], out.summary, columns)
    texts = {k: {"Description": v} for k, v in (DESCRIPTIONS | MEASURES).items()}
    write_json(texts, out.description)


if __name__ == "__main__":
    run(main, snakemake, pass_stops=False)  # noqa: F821
