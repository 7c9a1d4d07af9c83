"""The cohort as the workflow sees it: configuration checked, dataset indexed, participants read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from glymph.common.errors import Stop
from glymph.inputs.config import ConfigError, check_config
from glymph.inputs.index import (
    IMAGE_KINDS,
    PROVIDED,
    DatasetError,
    Scan,
    read_index,
    read_path_table,
    scan_bids,
    with_corrections,
    write_index,
)
from glymph.inputs.participants import Participants, ParticipantsError, read_participants


class CohortError(ValueError):
    """The run cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Cohort:
    """All units with their files, without those that the configuration excludes."""

    scans: list[Scan]
    participants: Participants | None = None
    exclude: tuple[str, ...] = ()

    @cached_property
    def by_prefix(self) -> dict[str, Scan]:
        return {scan.unit.prefix: scan for scan in self.scans}

    def fingerprint(self) -> str:
        """Changes with the units, their files' names and what is left out; not with contents."""
        text = json.dumps(
            [
                [s.unit.prefix, s.files, {k: str(p) for k, p in s.problems.items()}, s.raters]
                for s in self.scans
            ],
            sort_keys=True,
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def summary(self) -> list[str]:
        """Lines for the user at the start: what was found, and what is wrong with it."""
        kinds = ", ".join(f"{k} {sum(k in s.files for s in self.scans)}" for k in IMAGE_KINDS)
        lines = [f"Found {len(self.scans)} subject-sessions ({kinds})."]
        unclear = [p for s in self.scans for p in s.problems.values() if "no rule" in p.reason]
        lines += [f"Left out: {problem}" for problem in unclear]
        if self.participants is None:
            lines.append("No participants table: the cohort table will have no groups or scores.")
        else:
            rows = self.participants.problems
            lines += [f"Participants: {stop}" for stops in rows.values() for stop in stops]
            lines += [
                f"Participants: {stop}"
                for _, stop in unmatched(self.scans, self.participants, self.exclude)
            ]
        return lines


def participants_file(config: dict) -> Path | None:
    """The participants table in use: the configured one, that of the dataset, or None."""
    if config["metrics_table"]:
        return None
    if config["participants"]["table"]:
        return Path(config["participants"]["table"])
    default = Path(config["bids_dir"]) / "participants.tsv"
    return default if not config["path_table"] and default.is_file() else None


def review_folder(config: dict) -> Path:
    """Where ratings and corrections lie."""
    return Path(config["review"]["folder"] or Path(config["output_dir"]) / "review")


def load_participants(config: dict) -> Participants | None:
    table = participants_file(config)
    if table is None:
        return None
    settings = config["participants"]
    return read_participants(table, settings["columns"], settings["groups"] or None)


def prepare(config: dict, index: str) -> Cohort:
    """Check the configuration, index the dataset, read the participants; write the index.

    Raises `CohortError` with one message for whatever keeps the whole run from starting.
    """
    try:
        check_config(config)
        scans = with_corrections(_index(config), review_folder(config) / "corrected")
        participants = load_participants(config)
    except (ConfigError, DatasetError, ParticipantsError) as error:
        raise CohortError(str(error)) from None
    _write(scans, index)
    return Cohort(_included(scans, config), participants, tuple(config["exclude"]))


def reread(config: dict, index: str) -> Cohort:
    """The cohort as the main process indexed it; the file system is not searched again."""
    return Cohort(_included(read_index(index), config))


def _index(config: dict) -> list[Scan]:
    if config["metrics_table"]:
        if not Path(config["metrics_table"]).is_file():
            raise CohortError(
                f"metrics_table: there is no file {config['metrics_table']}; correct the path, or "
                "set it to null to make the table from images"
            )
        return []
    if config["path_table"]:
        return read_path_table(config["path_table"])
    inputs, epvs = config["inputs"], config["epvs"]
    patterns = {"brain_mask": config["anat"]["brain_mask"]}
    patterns |= {kind: epvs[kind] for kind in PROVIDED if kind in epvs}
    return scan_bids(
        config["bids_dir"], inputs["filters"], inputs["several"], patterns, epvs["raters"]
    )


def _write(scans: list[Scan], index: str) -> None:
    try:
        write_index(scans, index)
    except OSError as error:
        raise CohortError(
            f"cannot write to output_dir: {error}; set output_dir to a folder you may write to"
        ) from None


def _included(scans: list[Scan], config: dict) -> list[Scan]:
    out = set(config["exclude"])
    return [s for s in scans if not {s.unit.prefix, s.unit.participant_id} & out]


def unmatched(
    scans: list[Scan], participants: Participants, exclude: Sequence[str] = ()
) -> list[tuple[str, Stop]]:
    """Participants without images, and images without a participant: (participant_id, why).

    Who is excluded has images that nobody asked for, and is listed as excluded elsewhere.
    """
    with_images = {scan.unit.participant_id for scan in scans}
    found = [
        (name, Stop(f"{name} is in the participants table but has no images", "",
                    "remove the row, or add the images", "inputs"))
        for name in participants.rows
        if name not in with_images and name not in exclude
    ]  # fmt: skip
    found += [
        (name, Stop(f"{name} has images but no row in the participants table", "",
                    "add a row, or list it under exclude", "inputs"))
        for name in sorted(with_images - set(participants.rows))
    ]  # fmt: skip
    return found
