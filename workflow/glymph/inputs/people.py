"""Who takes part: `participant_label` and `exclude`, matched to the people that there are."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from glymph.common.bids import same
from glymph.common.errors import short

ASKED = "participant_label"
NOT = "~"
"""Before an entry of `participant_label`: this one is not asked for."""


class NobodyError(ValueError):
    """An entry of the configuration names nobody; the message says who there is."""


@dataclass(frozen=True)
class Row:
    """A subject-session, or a row of a table: labels without prefix, and the ``name`` in full."""

    subject: str
    session: str | None
    name: str

    @classmethod
    def of(cls, participant_id: str, session_id: str | None = None) -> Row:
        session = (session_id or "").removeprefix("ses-") or None
        name = "_".join(filter(None, (participant_id, session_id)))
        return cls(participant_id.removeprefix("sub-"), session, name)


def left_out(rows: list[Row], labels: list, exclude: list) -> dict[str, str]:
    """Names of the ``rows`` that are left out, with the reason.

    ``labels``: who is asked for, with ``~`` before those who are not; ``exclude``: who is not. An
    entry is a subject or a subject-session, with or without ``sub-`` and ``ses-``; numbers match by
    value where no label does as text. Raises `NobodyError` for an entry that matches nobody.
    """
    entries = [str(entry).strip() for entry in labels]
    unwanted = [(e.removeprefix(NOT), ASKED) for e in entries if e.startswith(NOT)]
    unwanted += [(str(entry), "exclude") for entry in exclude]
    found = {row.name: f"listed under {key}" for e, key in unwanted for row in _named(e, rows, key)}
    wanted = [entry for entry in entries if not entry.startswith(NOT)]
    asked = {row.name for entry in wanted for row in _named(entry, rows, ASKED)}
    unasked = [row.name for row in rows if wanted and row.name not in asked]
    return dict.fromkeys(unasked, f"not listed under {ASKED}") | found


def asked_subjects(bids_dir: str | Path, labels: list) -> set[str]:
    """The folders of subjects in ``bids_dir`` that ``labels`` ask for; no folder is opened.

    Raises `NobodyError` for a label that matches nobody.
    """
    subjects = [str(label).strip().removeprefix("sub-").partition("_ses-")[0] for label in labels]
    exact = {f"sub-{s}" for s in subjects if os.path.isdir(os.path.join(bids_dir, f"sub-{s}"))}
    others = [s for s in subjects if f"sub-{s}" not in exact]
    names = os.listdir(bids_dir) if others and os.path.isdir(bids_dir) else []
    rows = [Row.of(name) for name in names if name.startswith("sub-")]
    return exact | {row.name for s in others if rows for row in _named(s, rows, ASKED)}


def _named(entry: str, rows: Iterable[Row], key: str) -> list[Row]:
    """The rows that ``entry`` of the configuration's ``key`` names."""
    subject, _, session = entry.removeprefix("sub-").partition("_ses-")
    exact = [r for r in rows if entry == r.name or (r.subject == subject and not session)]
    alike = [
        r for r in rows
        if same(r.subject, subject) and (not session or same(r.session, session))
    ]  # fmt: skip
    subjects = sorted({r.subject for r in alike})
    if exact or len(subjects) == 1:
        return exact or alike
    if alike:
        raise NobodyError(
            f"{key}: '{short(entry)}' may be {' or '.join(f'sub-{s}' for s in subjects)}; write "
            "the label in full, in quotes"
        )
    names = sorted({r.name for r in rows} | {f"sub-{r.subject}" for r in rows})
    near = difflib.get_close_matches(f"sub-{entry.removeprefix('sub-')}", names, n=3, cutoff=0.7)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {short(', '.join(names))}"
    raise NobodyError(f"{key}: nobody is called '{short(entry)}'; {hint}")
