"""The cohort as the workflow sees it: configuration checked, dataset indexed, participants read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from glymph.common import integrity
from glymph.common.errors import Stop
from glymph.common.images import read_json, write_json
from glymph.inputs.config import ConfigError, check_config
from glymph.inputs.index import (
    IMAGE_KINDS,
    PROVIDED,
    DatasetError,
    Scan,
    read_index,
    read_path_table,
    scan_bids,
    sidecar,
    with_corrections,
    write_index,
)
from glymph.inputs.participants import Participants, ParticipantsError, read_participants


class CohortError(ValueError):
    """The run cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Cohort:
    """All units with their files, without those that the configuration excludes.

    ``sources`` maps every file that the workflow reads to its `integrity.state` at the start,
    ``tools`` every file of a program that is not this workflow's own.
    """

    scans: list[Scan]
    participants: Participants | None = None
    exclude: tuple[str, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)

    @cached_property
    def by_prefix(self) -> dict[str, Scan]:
        return {scan.unit.prefix: scan for scan in self.scans}

    def with_tools(self, paths: Sequence[str]) -> Cohort:
        """The cohort with the present state of these files as its ``tools``."""
        return replace(self, tools={path: integrity.state(path) for path in paths})

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
        unclear = [
            problem
            for scan in self.scans
            for kind, problem in scan.problems.items()
            if problem.reason != f"no {kind} image"
        ]
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


def no_dataset(config: dict) -> bool:
    """Whether there is neither a dataset nor a table: networks learn from synthetic images."""
    return not any(config[key] for key in ("bids_dir", "path_table", "metrics_table"))


def participants_file(config: dict) -> Path | None:
    """The participants table in use: the configured one, that of the dataset, or None."""
    if config["metrics_table"] or no_dataset(config):
        return None
    if config["participants"]["table"]:
        return Path(config["participants"]["table"])
    if config["path_table"]:
        return None
    default = Path(config["bids_dir"]) / "participants.tsv"
    return default if default.is_file() else None


def review_folder(config: dict) -> Path:
    """Where ratings and corrections lie."""
    return Path(config["review"]["folder"] or Path(config["output_dir"]) / "review")


def load_participants(config: dict) -> Participants | None:
    table = participants_file(config)
    if table is None:
        return None
    settings = config["participants"]
    return read_participants(table, settings["columns"], settings["groups"] or None)


def prepare(config: dict) -> Cohort:
    """Check the configuration, index the dataset, read the participants; nothing is written.

    Raises `CohortError` with one message for whatever keeps the whole run from starting.
    """
    try:
        check_config(config)
        scans = with_corrections(_index(config), review_folder(config) / "corrected")
        participants = load_participants(config)
    except (ConfigError, DatasetError, ParticipantsError) as error:
        raise CohortError(str(error)) from None
    scans = [_without_future(scan) for scan in scans]
    paths = _sources(scans, config)
    for path in filter(integrity.in_future, paths):
        raise CohortError(
            f"{path} is dated in the future, so that no result can be newer; correct the clock, or "
            "touch the file"
        )
    sources = {path: integrity.state(path) for path in paths}
    return Cohort(_included(scans, config), participants, tuple(config["exclude"]), sources)


def reread(config: dict, index: str) -> Cohort:
    """The cohort as the main process indexed it; the file system is not searched again.

    Raises `CohortError` where the configuration is not that of the main process.
    """
    started = read_json(_start_file(index))
    if started["config"] != _hash(config):
        raise CohortError(
            "the configuration changed while the workflow was running; run the same command again"
        )
    scans = _included(read_index(index), config)
    return Cohort(scans, sources=started["sources"], tools=started["tools"])


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
    if no_dataset(config):
        if "train" in config:
            return []
        raise CohortError("bids_dir is null; set it to your BIDS dataset")
    inputs, epvs = config["inputs"], config["epvs"]
    patterns = {"brain_mask": config["anat"]["brain_mask"]}
    patterns |= {kind: epvs[kind] for kind in PROVIDED if kind in epvs}
    return scan_bids(
        config["bids_dir"], inputs["filters"], inputs["several"], patterns, epvs["raters"]
    )


def start(cohort: Cohort, config: dict, index: str) -> None:
    """Take the output folder for this run, and write the index for its jobs.

    Raises `CohortError` where the folder cannot be written to, another run writes to it, or its
    results are newer than now.
    """
    folder = Path(config["output_dir"])
    try:
        free = integrity.hold_alone(folder)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"Permission denied: '{folder}'")
        if free:
            write_index(cohort.scans, index)
            noted = {"sources": cohort.sources, "tools": cohort.tools}
            write_json({"config": _hash(config)} | noted, _start_file(index))
    except OSError as error:
        raise CohortError(
            f"cannot write to output_dir: {error}; set output_dir to a folder with space that you "
            "may write to"
        ) from None
    if not free:
        raise CohortError(
            f"another run, or a job that one has left behind, is writing to output_dir '{folder}'; "
            "wait until it ends, end it, or set output_dir to another folder"
        )
    ahead = integrity.results_in_future(folder)
    if ahead:
        raise CohortError(
            f"{len(ahead)} results are dated in the future, so that nothing can be newer than "
            f"they are: {ahead[0]} and so on; correct the clock, or delete these files"
        )


def _start_file(index: str) -> Path:
    """What the jobs of a run must find as it was at its start."""
    return Path(index).with_name("sources.json")


def _hash(config: dict) -> str:
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _without_future(scan: Scan) -> Scan:
    """``scan`` without the images that, or whose sidecars, are dated in the future."""
    files, problems = dict(scan.files), dict(scan.problems)
    for kind in IMAGE_KINDS:
        parts = ("dwi", "bval", "bvec", "json") if kind == "dwi" else (kind,)
        paths = [scan.files[part] for part in parts if part in scan.files]
        late = next(filter(integrity.in_future, paths), None)
        if late and kind in files:
            problems[kind] = Stop(
                "it is dated in the future, so that no result can be newer", late,
                "correct the clock, or touch the file", "inputs",
            )  # fmt: skip
            files = {name: path for name, path in files.items() if name not in parts}
    return replace(scan, files=files, problems=problems)


def _sources(scans: list[Scan], config: dict) -> list[str]:
    """Every file of the user's that some rule reads."""
    found = [path for scan in scans for path in [*scan.files.values(), *scan.raters.values()]]
    for scan in scans:
        found += [path for image in scan.reverse for path in (image, sidecar(image))]
    regions = (config["alps"]["user_rois"] or {}).values()
    found += [region["mask"] for region in regions if "mask" in region]
    found += (config["template"] or {}).values()
    found += [str(path) for path in (participants_file(config), config["metrics_table"]) if path]
    found += [str(path) for path in review_folder(config).rglob("*") if path.is_file()]
    return found


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
