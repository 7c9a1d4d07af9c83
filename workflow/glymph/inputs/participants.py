"""Reading participants.tsv: every row checked, nobody dropped in silence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from glymph.common.bids import same
from glymph.common.cells import find_column, limits_of, near_columns, one_spaced, read_cell
from glymph.common.errors import Stop, short
from glymph.common.names import Unit
from glymph.common.registry import variables
from glymph.common.tables import TableError, read_table

SESSION_COLUMNS = ("session_id", "session", "ses")
TRAITS = ("group", "sex", "education", "site")
"""What holds for all sessions of a person where only some are in the table."""
OPTIONAL = ("acq_time",)
"""Variables whose absence needs no word: few tables have them."""
Values = dict[str, str | float | None]


@dataclass(frozen=True)
class Participants:
    """What is known of people (variables as str or float, None where missing).

    ``rows`` maps participant_id to what holds for all sessions, ``sessions`` participant_id to what
    holds for one, by its label. ``problems`` maps participant_id to what is wrong with its
    rows; such rows keep what is sound. ``unusable`` names the participants whose rows must not be
    used at all, ``notes`` what concerns the whole table. ``labels`` maps those of whom the table
    has rows for sessions to the labels of these. ``has_table``: whether there is one, or tables of
    sessions alone.
    """

    rows: dict[str, Values]
    problems: dict[str, list[Stop]]
    unusable: frozenset[str]
    sessions: dict[str, dict[str | None, Values]] = field(default_factory=dict)
    notes: list[Stop] = field(default_factory=list)
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    has_table: bool = True

    def of(self, unit: Unit) -> Values:
        """What is known of a unit: of its session where the tables tell sessions apart."""
        name = unit.participant_id
        if name in self.unusable:
            return {}
        known = dict(self.rows.get(name, {}))
        if unit.session and name in self.labels:
            known = {k: v if k in TRAITS else None for k, v in known.items()}
        for session, values in self.sessions.get(name, {}).items():
            if same(session, unit.session):
                known |= {k: v for k, v in values.items() if v is not None}
        return known

    def unclear(self, unit: Unit) -> list[str]:
        """Variables that the table has for other sessions of this participant, none of which is
        the unit's, so that this unit has no value."""
        labels = self.labels.get(unit.participant_id, ())
        if any(same(label, unit.session) for label in labels):
            return []
        others = self.sessions.get(unit.participant_id, {})
        known = self.of(unit)
        said = [k for label in labels for k, v in others[label].items() if v is not None]
        return [k for k in dict.fromkeys(said) if known.get(k) is None]


class ParticipantsError(ValueError):
    """The table as a whole cannot be read."""


def read_participants(
    path: str | Path,
    columns: dict[str, str | None],
    groups: list[str] | None,
    ranges: dict | None = None,
) -> Participants:
    """Read and check a participants table.

    ``columns`` maps the variables of `registry.variables` to the table's column names, compared
    without regard to case; ``groups`` lists the allowed groups, None for any; ``ranges`` replaces
    the registry's. A table with a column of sessions has a row for each; what is equal in all rows
    of a participant holds for all sessions. Further columns are ignored. Raises
    `ParticipantsError`, among others for a configured column that is not there.
    """
    path = Path(path)
    header, table = _read(path)
    id_column = find_column(header, "participant_id")
    if not id_column:
        raise ParticipantsError(
            f"{path}: no participant_id column in a header of {len(header)} columns; the table "
            "must be separated by tabs, with a header line"
        )
    session_column = next(filter(None, (find_column(header, n) for n in SESSION_COLUMNS)), None)
    used, notes = match_columns(header, columns, path)
    by_name: dict[str, list[tuple[int, str | None, Values]]] = {}
    problems: dict[str, list[Stop]] = {}
    for number, row in table:
        name = _participant_id(row[id_column])
        if not name:
            raise ParticipantsError(
                f"{path}, line {number}: participant_id is empty; fill it in, or remove the line"
            )
        values, found = check_row(row, used, groups, ranges or {}, f"{short(name)}, line {number}")
        session = (row[session_column] if session_column else "").removeprefix("ses-") or None
        by_name.setdefault(name, []).append((number, session, values | _absent(columns, used)))
        if found:
            problems.setdefault(name, []).extend(_stop(text, path) for text in found)
    return _gather(by_name, problems, path, notes)


def _read(path: Path):
    if path.is_symlink() and not path.exists():
        raise ParticipantsError(
            f"{path}: its content is not here: a link to nothing (git-annex?); datalad get {path}"
        )
    if not path.is_file():
        raise ParticipantsError(
            f"{path} does not exist; write one with a participant_id column, or name it in "
            "participants.table"
        )
    try:
        return read_table(path)
    except TableError as error:
        raise ParticipantsError(str(error)) from None


def _absent(columns: dict, used: dict) -> Values:
    return {variable: None for variable in columns if variable not in used}


def match_columns(
    header: list[str], columns: dict[str, str | None], path: Path
) -> tuple[dict[str, str], list[Stop]]:
    """The table's column of every variable that it has, and notes on those that it lacks.

    Raises `ParticipantsError` for a column that is not called as the variable, so that somebody
    configured it, and is not there.
    """
    used, notes, lacking = {}, [], []
    for variable, column in columns.items():
        found = find_column(header, column) if column else None
        if found:
            used[variable] = found
        elif column:
            near = near_columns(header, variables()[variable], column)
            hint = f"did you mean {short(' or '.join(near))}?" if near else "the table has"
            if column != variable:
                raise ParticipantsError(
                    f"{path}: participants.columns.{variable} is '{short(column)}', and there is "
                    f"no such column; {hint} {short(', '.join(header))}"
                )
            if near:
                cure = f"if that is {short(' or '.join(near))}, set participants.columns.{variable}"
                notes.append(Stop(f"no column {variable}", str(path), cure, "inputs"))
            elif variable not in OPTIONAL:
                lacking.append(variable)
    if lacking:
        effect = ": no groups are compared" if "group" in lacking else ""
        reason = f"no column {', '.join(lacking)}{effect}"
        notes.append(Stop(reason, str(path), "see participants.columns, if there are", "inputs"))
    return used, notes


def _participant_id(cell: str) -> str:
    return cell if not cell or cell.startswith("sub-") else f"sub-{cell}"


def _stop(reason: str, path: Path) -> Stop:
    return Stop(reason, str(path), "correct the cell or write n/a", "inputs")


def check_row(
    row: dict[str, str], used: dict[str, str], groups: list[str] | None, ranges: dict, where: str
) -> tuple[Values, list[str]]:
    """The values of one row by variable, and what is wrong with them (``where`` begins a text)."""
    values, found = {}, []
    for variable, column in used.items():
        text = one_spaced(row.get(column, ""))
        cell = read_cell(text, variables()[variable], limits_of(variable, ranges))
        values[variable] = cell.value
        if cell.problem:
            found.append(f"{where}: {column} {cell.problem}")
    group = values.get("group")
    allowed = [one_spaced(str(name)) for name in groups or ()]
    if allowed and group is not None and group not in allowed:
        known = short(", ".join(allowed))
        found.append(
            f"{where}: group '{short(group)}' is not one of {known}; taken as "
            "missing: correct it, or add it to participants.groups"
        )
        values["group"] = None
    return values, found


def as_in_dataset(found: Participants, names: Iterable[str], path: Path) -> Participants:
    """``found`` with rows of `sub-1` for the participant `sub-001` of ``names``, and a note: a
    spreadsheet strips zeros.

    Only where the number is that of one participant of the dataset and of one row alone.
    """
    there, rows = _by_number(names), _by_number(found.rows)
    alone = [n for n, own in rows.items() if len(own) == len(there.get(n, ())) == 1]
    new = {rows[n][0]: there[n][0] for n in alone if rows[n] != there[n]}
    if not new:
        return found

    def renamed(known: dict) -> dict:
        return {new.get(name, name): value for name, value in known.items()}

    first = short(", ".join(f"{old} is taken as {now}" for old, now in list(new.items())[:3]))
    note = Stop(
        f"{len(new)} names fit the dataset's by their number alone ({first})", str(path),
        "write them as the dataset does", "inputs",
    )  # fmt: skip
    return replace(
        found, rows=renamed(found.rows), problems=renamed(found.problems),
        unusable=frozenset(new.get(name, name) for name in found.unusable),
        sessions=renamed(found.sessions), labels=renamed(found.labels), notes=[*found.notes, note],
    )  # fmt: skip


def namesakes(names: Iterable[str]) -> list[str]:
    """Those of ``names`` whose number is another's too, as of `sub-1` and `sub-001`."""
    return sorted(n for alike in _by_number(names).values() if len(alike) > 1 for n in alike)


def _by_number(names: Iterable[str]) -> dict[str, list[str]]:
    """``names`` whose label is a number, by this without zeros before it."""
    found: dict[str, list[str]] = {}
    for name in names:
        label = name.removeprefix("sub-")
        if label.isdecimal():
            found.setdefault(label.lstrip("0"), []).append(name)
    return found


def spelling(name: str) -> str:
    """A label without what is written in several ways: zeros before numbers, case and signs."""
    label = re.sub(r"[\W_]", "", name.removeprefix("sub-").lower())
    return re.sub(r"(?<!\d)0+(?=\d)", "", label)


def _gather(by_name: dict, problems: dict, path: Path, notes: list[Stop]) -> Participants:
    """Rows of one participant as one: what is equal holds for all, the rest for its session."""
    rows, sessions, unusable = {}, {}, set()
    for name, entries in by_name.items():
        for later, other, values in entries[1:]:
            clash = [v for _, s, v in entries if same(s, other) and v != values]
            if clash and name not in unusable:
                unusable.add(name)
                reason = f"several rows for {short(name)} (again on line {later})"
                stop = Stop(reason, str(path), "keep one row for each session", "inputs")
                problems.setdefault(name, []).insert(0, stop)
        rows[name] = entries[0][2] if name in unusable else _common(entries)
        if name not in unusable and any(label for _, label, _ in entries):
            sessions[name] = {label: values for _, label, values in entries}
    labels = {name: tuple(label for label in own if label) for name, own in sessions.items()}
    return Participants(rows, problems, frozenset(unusable), sessions, notes, labels)


def _common(entries: list) -> Values:
    """What all rows that say anything of a variable say alike."""
    said = {k: {v[k] for *_, v in entries if v[k] is not None} for k in entries[0][2]}
    return {k: next(iter(values)) if len(values) == 1 else None for k, values in said.items()}
