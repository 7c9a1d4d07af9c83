"""What does not exist, and why: exclusions.tsv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from glymph.common.errors import Stop
from glymph.inputs.index import Scan, Unused
from glymph.inputs.participants import Participants

BRANCHES = {"T1w": "anat", "T2w": "epvs", "dwi": "dwi"}
"""Branch that is left out, or narrowed, where an image of this kind is missing."""
T1W_ONLY = "; perivascular spaces were segmented on the T1w alone"

EXCLUSION_COLUMNS = [
    "participant_id", "session_id", "branch", "stage", "reason", "file", "cure",
]  # fmt: skip


def exclusions(
    scans: list[Scan],
    records: list[dict],
    participants: Participants | None,
    unmatched: list[tuple[str, Stop]],
    left_out: dict[str, str],
    epvs: dict,
    unused: Sequence[Unused] = (),
) -> list[dict]:
    """Every result that does not exist, every cell and every file that was not used, and why."""
    rows = [
        _row(scan.unit.participant_id, scan.unit.session_id, BRANCHES.get(kind, kind), stop)
        for scan in scans
        for kind, stop in _problems(scan, epvs)
    ]
    rows += [
        _row(
            record["participant_id"],
            record["session_id"],
            stop["stage"].split("_")[0],
            Stop(**stop),
        )
        for record in records
        for stop in record["stops"]
    ]
    rows += [_row(name, None, "statistics", stop) for name, stop in unmatched]
    if participants:
        rows += [_row(None, None, "statistics", stop) for stop in participants.notes]
    for name, stops in (participants.problems if participants else {}).items():
        rows += [_row(name, None, "statistics", stop) for stop in stops]
    rows += [
        _row(*_split(name), "all", Stop(why, "", cure or "change it there", "inputs"))
        for name, whole in left_out.items()
        for why, _, cure in [whole.partition("; ")]
    ]
    rows += [_row(one.participant_id, one.session_id, "inputs", one.stop) for one in unused]
    return sorted(rows, key=lambda row: (row["participant_id"] or "", row["session_id"] or ""))


def _problems(scan: Scan, epvs: dict):
    """(kind, `Stop`) of the images that this unit lacks and a branch would have used.

    ``epvs``: that part of the configuration, which says whether a T2w is missed at all.
    """
    for kind, stop in scan.problems.items():
        if kind == "T2w" and "T1w" in scan.files and "no rule" not in stop.reason:
            if epvs["engine"] == "none" or epvs["without_t2w"] == "skip":
                continue  # not wanted, or listed by the rule that stops without it
            yield kind, replace(stop, reason=stop.reason + T1W_ONLY)
        elif kind in BRANCHES and kind != "T2w" or stop.reason != f"no {kind} image":
            yield kind, stop


def _split(name: str) -> tuple[str, str | None]:
    participant, _, session = name.partition("_")
    return participant, session or None


def _row(participant_id: str | None, session_id: str | None, branch: str, stop: Stop) -> dict:
    return {
        "participant_id": participant_id,
        "session_id": session_id,
        "branch": branch,
        "stage": stop.stage,
        "reason": stop.reason,
        "file": stop.file or None,
        "cure": stop.cure or None,
    }
