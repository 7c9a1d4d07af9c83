"""What sessions.tsv and scans.tsv of a dataset say of sessions: when they were, and how people were
then."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from glymph.common.bids import parse, same, stem
from glymph.common.cells import find_column, read_cell
from glymph.common.errors import Stop, short
from glymph.common.registry import variables
from glymph.common.tables import MISSING, TableError, read_table
from glymph.inputs.index import Scan
from glymph.inputs.participants import SESSION_COLUMNS, Participants, Values, check_row

NO_TABLE = Participants({}, {}, frozenset(), has_table=False)
KINDS = ("T1w", "dwi", "T2w", "FLAIR")
"""Whose time of acquisition is a session's, the first that is there."""


def with_sessions(
    participants: Participants | None,
    scans: Sequence[Scan],
    columns: dict,
    ranges: dict,
    groups: list[str] | None = None,
) -> Participants | None:
    """``participants`` with what the tables beside the ``scans`` say of their sessions.

    The date is acq_time of sessions.tsv, else of the image in scans.tsv; other variables of
    `registry.variables` come from sessions.tsv, groups among ``groups`` (any where None). A table
    that cannot be read, or that has several rows for a session which differ, is a problem of its
    participant, and not used.
    """
    known = participants or NO_TABLE
    sessions = {name: dict(own) for name, own in known.sessions.items()}
    problems = {name: list(stops) for name, stops in known.problems.items()}
    for scan in scans:
        unit = scan.unit
        values, found = _of_scan(scan, columns, ranges, groups)
        if values:
            own = sessions.setdefault(unit.participant_id, {})
            label = next((s for s in own if same(s, unit.session)), unit.session)
            own[label] = own.get(label, {}) | values
        for stop in found:
            if stop not in problems.setdefault(unit.participant_id, []):
                problems[unit.participant_id].append(stop)
    problems = {name: stops for name, stops in problems.items() if stops}
    if participants is None and not sessions and not problems:
        return None
    return replace(known, sessions=sessions, problems=problems)


def _of_scan(scan: Scan, columns: dict, ranges: dict, groups) -> tuple[Values, list[Stop]]:
    values: Values = {}
    problems: list[Stop] = []
    for path in sorted(scan.tables, key=lambda p: parse(Path(p).name).suffix == "sessions"):
        try:
            header, rows = read_table(path)
        except TableError as error:
            problems.append(Stop(f"{error}; not used", "", "", "inputs"))
            continue
        if parse(Path(path).name).suffix == "scans":
            cell = read_cell(_acquired(scan, header, rows) or "", variables()["acq_time"], None)
            said, found = (
                {"acq_time": cell.value},
                [f"acq_time {cell.problem}"] * bool(cell.problem),
            )
        else:
            said, found = _of_session(scan, path, header, rows, columns, ranges, groups)
        values |= {k: v for k, v in said.items() if v is not None}
        problems += [Stop(text, path, "correct the cell or write n/a", "inputs") for text in found]
    return values, problems


def _of_session(scan, path, header, rows, columns, ranges, groups) -> tuple[Values, list[str]]:
    """What the row of the unit's session in sessions.tsv says."""
    column = next(filter(None, (find_column(header, n) for n in SESSION_COLUMNS)), None)
    if not column or not scan.unit.session:
        return {}, [] if column else ["no column session_id; not used"]
    wanted = {"acq_time": "acq_time"} | columns
    used = {v: find_column(header, c) or find_column(header, v) for v, c in wanted.items() if c}
    used = {variable: name for variable, name in used.items() if name}
    own = [
        (number, check_row(row, used, groups, ranges, f"{short(Path(path).name)}, line {number}"))
        for number, row in rows
        if same(row[column].removeprefix("ses-"), scan.unit.session)
    ]
    if any(said != own[0][1][0] for _, (said, _) in own):
        lines = short(", ".join(str(number) for number, _ in own))
        return {}, [f"several rows for session {scan.unit.session} (lines {lines}) that differ; "
                    "none is used"]  # fmt: skip
    return own[0][1] if own else ({}, [])


def _acquired(scan: Scan, header: list[str], rows: list) -> str | None:
    """acq_time of the unit's image in scans.tsv."""
    name, time = find_column(header, "filename"), find_column(header, "acq_time")
    if not name or not time:
        return None
    times = {stem(posixpath.normpath(row[name])): row[time] for _, row in rows if row[name]}
    for kind in KINDS:
        for file, when in times.items():
            its_own = kind in scan.files and stem(scan.files[kind]).endswith(f"/{file}")
            if its_own and when.lower() not in MISSING:
                return when
    return None
