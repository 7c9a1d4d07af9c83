"""The cohort's table, metrics.tsv, and the description of its columns."""

from __future__ import annotations

from glymph.common.names import Unit
from glymph.common.registry import metrics, variables
from glymph.inputs.participants import Participants
from glymph.metrics.flags import flags

IDENTITY = {
    "participant_id": "Subject, with the prefix sub-.",
    "session_id": "Session, with the prefix ses-; n/a where there are no sessions.",
}
METHODS = {
    "alps_axes": "Axis version that the group analysis uses and that the single diffusivities are "
    "given in: native, template, principal, pas or ld.",
    "alps_placement": "Regions that the group analysis uses and that the single diffusivities are "
    "of: fixed, as carried from the template, or adaptive, moved to where their tract is.",
    "alps_registration": "How the DWI was brought to the template.",
    "dwi_distortion": "How susceptibility distortion was corrected.",
    "epvs_input": "Images that perivascular spaces were segmented on: T1w+T2w, or T1w alone; the "
    "two do not compare.",
    "epvs_lesions": "What lesions were excluded by: FLAIR, provided mask, command "
    "(epvs.lesion_command), or none.",
    "corrected": "What a rater corrected of this subject-session: masks by name, regions of ALPS; "
    "n/a where nothing.",
    "flags": "Names of the metrics that are missing, outside their plausible range or far from the "
    "cohort's median, separated by commas; flags.tsv says why.",
    "workflow_version": "Version of the workflow.",
    "software": "Fingerprint of the versions of all libraries that make numbers; rows that differ "
    "here were made with different versions.",
}


def table(
    records: list[dict],
    participants: Participants | None,
    used: list[str],
    alps: dict,
    flagged: list[dict],
):
    """Rows and columns of metrics.tsv: one row per record, in the records' order.

    ``used`` are the participants' variables in use, ``alps`` that part of the configuration,
    ``flagged`` the rows of `flag_rows`.
    """
    people = [_person(record, participants) for record in records]
    shown = [n for n in variables() if n in used and n not in metrics()]
    shown = [n for n in shown if n != "acq_time" or any(p.get(n) for p in people)]
    known = [name for name in metrics() if any(name in r["values"] for r in records)]
    columns = [*IDENTITY, *shown, *known, *METHODS]
    names: dict[tuple, list[str]] = {}
    for flag in flagged:
        names.setdefault((flag["participant_id"], flag["session_id"]), []).append(flag["metric"])
    rows = []
    for record, person in zip(records, people, strict=True):
        row = {key: record[key] for key in IDENTITY}
        row |= {name: person.get(name) for name in shown}
        row |= {name: record["values"].get(name) for name in known}
        own = names.get((record["participant_id"], record["session_id"]), [])
        row["flags"] = ",".join(dict.fromkeys(own)) or None
        rows.append(row | _methods(record, alps))
    return rows, columns


def with_given_volumes(
    records: list[dict], participants: Participants | None, thresholds: dict
) -> list[dict]:
    """``records`` with the brain volume of the participants table in the place of the measured one
    where there is one, with the fractions that are taken of it and the flags of both.

    ``thresholds``: `qc.thresholds` of the configuration.
    """
    return [_with_volume(r, _person(r, participants), thresholds) for r in records]


def _with_volume(record: dict, person: dict, thresholds: dict) -> dict:
    volume = person.get("brain_volume_mm3")
    if volume is None:
        return record
    changed = {"brain_volume_mm3": volume}
    for name, value in record["values"].items():
        if name.endswith("_fraction_brain") and value is not None:
            changed[name] = record["values"][name.replace("fraction_brain", "volume_mm3")] / volume
    kept = [flag for flag in record["flags"] if flag["metric"] not in changed]
    values = record["values"] | changed
    return record | {"values": values, "flags": kept + flags(changed, thresholds)}


def _person(record: dict, participants: Participants | None) -> dict:
    unit = Unit.from_ids(record["participant_id"], record["session_id"])
    return participants.of(unit) if participants else {}


def _methods(record: dict, alps: dict) -> dict:
    return {
        "alps_axes": alps["axes"],
        "alps_placement": alps["placement"],
        "alps_registration": record["methods"].get("registration"),
        "dwi_distortion": record["methods"].get("distortion"),
        "epvs_input": record["methods"].get("epvs_input"),
        "epvs_lesions": record["methods"].get("epvs_lesions"),
        "corrected": record["methods"].get("corrected"),
        "workflow_version": record["software"]["glymph"],
        "software": record["software_hash"],
    }


def describe(columns: list[str], parameters: dict, software: dict) -> dict:
    """Description of every column of metrics.tsv, and how the table was made."""
    texts: dict[str, dict] = {name: {"Description": text} for name, text in IDENTITY.items()}
    for name, about in variables().items():
        texts[name] = {"Description": about.description}
        texts[name] |= {"Units": about.unit} if about.unit else {}
    texts |= {name: metric.sidecar() for name, metric in metrics().items()}
    texts |= {name: {"Description": text} for name, text in METHODS.items()}
    return {name: texts[name] for name in columns} | {
        "GeneratedBy": software,
        "Parameters": parameters,
    }
