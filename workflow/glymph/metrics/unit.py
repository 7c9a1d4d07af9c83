"""The metrics of one subject-session, with flags and with what could not be made."""

from __future__ import annotations

from dataclasses import asdict

from glymph.common.errors import read_stop
from glymph.common.names import Unit
from glymph.common.provenance import software, software_hash
from glymph.common.registry import checked
from glymph.common.sidecars import read_json
from glymph.metrics.flags import flags

METHODS = ("registration", "distortion", "epvs_input", "epvs_lesions")
"""Facts that say how a number was made and become columns of the table."""


def unit_record(
    unit: Unit,
    facts: list[str],
    checks: list[str],
    thresholds: dict | None = None,
    corrected: list[str] | None = None,
) -> dict:
    """Collect one unit's results.

    ``facts`` are the stages' JSON files, whose ``metrics`` are merged; ``checks`` those of stage
    inputs. ``thresholds`` are those of `flags`; ``corrected`` names what a rater corrected. A file
    that is a `Stop` is listed in ``stops``, once per reason, as is what a file says of single
    values that do not exist. ``placement_shifts_mm`` says where ALPS regions would be moved, by
    region, in mm along the template's axes. Metrics of different files must not share a name
    (ValueError).
    """
    values, stops, notes, methods, placement = {}, [], [], {}, {}
    for path in [*checks, *facts]:
        stop = read_stop(path)
        if stop:
            stops += [asdict(stop)] if asdict(stop) not in stops else []
            continue
        content = read_json(path)
        notes += content.get("notes", [])
        stops += content.get("stops", [])
        methods |= {k: content[k] for k in METHODS if k in content}
        placement |= content.get("placement_shifts_mm", {})
        found = content.get("metrics", {})
        if found.keys() & values.keys():
            raise ValueError(f"{path}: {found.keys() & values.keys()} come from two stages")
        values |= found
    return {
        "participant_id": unit.participant_id,
        "session_id": unit.session_id,
        "values": checked(values),
        "flags": flags(values, thresholds),
        "stops": stops,
        "notes": notes,
        "methods": methods | {"corrected": ",".join(corrected or []) or None},
        "placement_shifts_mm": placement,
        "software": software(),
        "software_hash": software_hash(),
    }
