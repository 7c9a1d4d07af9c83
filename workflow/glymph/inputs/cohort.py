"""The cohort as the workflow sees it: configuration checked, dataset indexed, participants read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from glymph.common import integrity
from glymph.common.cells import find_column
from glymph.common.errors import Stop, short
from glymph.common.names import CORRECTED, Unit
from glymph.common.provenance import content_hash
from glymph.common.sidecars import read_json, write_json
from glymph.common.tables import MISSING, TableError, read_table
from glymph.inputs import plan
from glymph.inputs.config import ConfigError, check_config, check_places
from glymph.inputs.index import (
    IMAGE_KINDS,
    MASK_OF,
    PROVIDED,
    DatasetError,
    Index,
    Scan,
    Unused,
    existing,
    read_bids,
    read_index,
    read_path_table,
    with_corrections,
    write_index,
)
from glymph.inputs.participants import (
    Participants,
    ParticipantsError,
    as_in_dataset,
    namesakes,
    read_participants,
    spelling,
)
from glymph.inputs.people import NobodyError, Row, asked_subjects, left_out
from glymph.inputs.sense import default
from glymph.inputs.sessions import with_sessions

HISTORY = "history"
"""Of the review folder: earlier versions of corrections, kept by the viewer and read by nobody."""
MOST_LINES, WIDE = 20, 300
"""Of a list and of a line in the summary."""


class CohortError(ValueError):
    """The run cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Cohort:
    """All units with their files, without those that the configuration leaves out.

    ``left_out`` maps who these are (sub-01 or sub-01_ses-a) to the reason, ``unused`` lists files
    and folders of the dataset that no unit uses. ``sources`` maps every file that the workflow
    reads to its `integrity.state` at the start; ``tools`` does so for every file of a program
    that is not this workflow's own, by the key that names the program. ``fitting`` maps the keys
    that name files by a pattern to whom they fit. ``units`` are all of the dataset, also those that
    are left out.
    """

    scans: list[Scan]
    participants: Participants | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    unused: list[Unused] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    tools: dict[str, dict[str, str]] = field(default_factory=dict)
    fitting: dict[str, set[str]] = field(default_factory=dict)
    units: list[Unit] = field(default_factory=list)

    @cached_property
    def by_prefix(self) -> dict[str, Scan]:
        return {scan.unit.prefix: scan for scan in self.scans}

    def with_tools(self, paths: dict[str, list[str]]) -> Cohort:
        """The cohort with the present state of these files, by key, as its ``tools``."""
        states = {key: {p: integrity.state(p) for p in files} for key, files in paths.items()}
        return replace(self, tools=states)

    def of_finished(self, made: dict[str, dict], folder: str) -> Cohort:
        """The cohort without the units whose results in ``folder`` are not those of now.

        ``made``: what `plan.made_of` says of each. Raises `CohortError` where none is left.
        """
        why = {
            s.unit.prefix: plan.why_unfinished(s, folder, made[s.unit.prefix]) for s in self.scans
        }
        late = {prefix: reason for prefix, reason in why.items() if reason}
        scans = [scan for scan in self.scans if scan.unit.prefix not in late]
        if late and not scans:
            first = next(iter(late))
            raise CohortError(f"nobody is finished; {first}: {late[first]}")
        return replace(self, scans=scans, left_out=self.left_out | late)

    def fingerprint(self) -> str:
        """Changes with the units, their files' names and what is left out; not with contents."""
        units = [
            [s.unit.prefix, s.files, {k: str(p) for k, p in s.problems.items()}, s.raters]
            for s in self.scans
        ]
        return content_hash(
            [*units, sorted(self.left_out.items()), [str(one.stop) for one in self.unused]]
        )

    def summary(self) -> list[str]:
        """Lines for the user at the start: what was found, and what is wrong with it."""
        kinds = ", ".join(f"{k} {sum(k in s.files for s in self.scans)}" for k in IMAGE_KINDS)
        number = f" {len(self.unused)} files or folders are not used." if self.unused else ""
        lines = [f"Found {len(self.scans)} subject-sessions ({kinds}).{number}"]
        for key, fits in self.fitting.items():
            number = len(fits & set(self.by_prefix))
            lines.append(f"{key} fits {number} of {len(self.scans)} subject-sessions.")
        if self.left_out:
            lines.append(f"Left out: {short(', '.join(self.left_out), WIDE)}.")
        unclear = [
            problem
            for scan in self.scans
            for kind, problem in scan.problems.items()
            if problem.reason != f"no {kind} image"
        ]
        lines += _first("Left out", unclear)
        lines += _first("Not used", [one.stop for one in self.unused])
        if self.participants is None or not self.participants.has_table:
            lines.append("No participants table: the cohort table will have no groups or scores.")
        if self.participants is not None:
            found = [stop for stops in self.participants.problems.values() for stop in stops]
            found += [stop for _, stop in unmatched(self.scans, self.participants, self.left_out)]
            lines += [f"Participants: {stop}" for stop in self.participants.notes]
            lines += _first("Participants", found)
        return lines


def _first(word: str, stops: list[Stop]) -> list[str]:
    """A line for each of the first, and one for the others; all are in group/exclusions.tsv."""
    lines = [f"{word}: {stop}" for stop in stops[:MOST_LINES]]
    more = len(stops) - MOST_LINES
    return lines + ([f"{word}: {more} more, see group/exclusions.tsv"] if more > 0 else [])


def no_dataset(config: dict) -> bool:
    """Whether there is neither a dataset nor a table: networks learn from synthetic images."""
    return not any(config[key] for key in ("bids_dir", "path_table", "metrics_table"))


def of_subjects(config: dict) -> bool:
    """Whether this run makes the results of single units only, beside other such runs."""
    return config["plan"] == plan.SUBJECTS


def index_place(config: dict) -> str:
    """Where a run keeps its index: one place in the output folder, or one for who is asked for."""
    if not of_subjects(config):
        return f"{config['output_dir']}/inputs/index.json"
    labels = content_hash([str(label) for label in config["participant_label"]])
    return f"{config['output_dir']}/{integrity.RECORDS}/runs/{labels}/index.json"


def participants_file(config: dict) -> Path | None:
    """The participants table in use: the configured one, that of the dataset, or None."""
    if config["metrics_table"] or no_dataset(config):
        return None
    if config["participants"]["table"]:
        return Path(config["participants"]["table"])
    if config["path_table"]:
        return None
    default = Path(config["bids_dir"]) / "participants.tsv"
    return default if os.path.lexists(default) else None


def review_folder(config: dict) -> Path:
    """Where ratings and corrections lie."""
    return Path(config["review"]["folder"] or Path(config["output_dir"]) / "review")


def load_participants(
    config: dict, scans: Sequence[Scan] = (), others: Iterable[str] = ()
) -> Participants | None:
    """The participants table, with what the sessions' and scans' tables of ``scans`` add to it.

    ``others``: further subjects or subject-sessions of the dataset. Whose a row is depends on all
    that there are, not on those of ``scans`` alone.
    """
    table = participants_file(config)
    if table is None and not any(scan.tables for scan in scans):
        return None
    settings = config["participants"]
    found = None
    if table is not None:
        found = read_participants(
            table, settings["columns"], settings["groups"] or None, settings["ranges"]
        )
        names = {scan.unit.participant_id for scan in scans}
        names |= {name.partition("_")[0] for name in others}
        found = as_in_dataset(found, names, table)
    return with_sessions(
        found, scans, settings["columns"], settings["ranges"], settings["groups"] or None
    )


def prepare(config: dict) -> Cohort:
    """Check the configuration, index the dataset, read the participants; nothing is written.

    Raises `CohortError` with one message for whatever keeps the whole run from starting.
    """
    try:
        check_config(config)
        check_places(config)
        index = _index(config)
        fitting = _fitting(config, index.scans)
        scans = with_corrections(index.scans, review_folder(config) / CORRECTED)
        participants = None if of_subjects(config) else load_participants(config, scans)
        out = _left_out(config, scans, participants)
        _check_colours(config, participants)
    except (ConfigError, DatasetError, ParticipantsError, NobodyError) as error:
        raise CohortError(str(error)) from None
    scans = [_without_future(scan) for scan in scans]
    paths = _sources_of_subjects(scans, config) if of_subjects(config) else _sources(scans, config)
    for path in filter(integrity.in_future, paths):
        raise CohortError(
            f"{path} is dated in the future, so that no result can be newer; correct the clock, or "
            "touch the file"
        )
    sources = {path: integrity.state(path) for path in paths}
    used = [scan for scan in scans if scan.unit.prefix not in out]
    if scans and not used:
        raise CohortError(
            "nobody with images is left by participant_label and exclude; correct them"
        )
    units = [scan.unit for scan in scans]
    return Cohort(used, participants, out, index.unused, sources, fitting=fitting, units=units)


def _left_out(config: dict, scans: list[Scan], participants: Participants | None) -> dict[str, str]:
    labels, exclude = config["participant_label"], config["exclude"]
    if not labels and not exclude or no_dataset(config):
        return {}
    if config["metrics_table"]:
        rows = _rows_of(Path(config["metrics_table"]))
    else:
        rows = [Row.of(s.unit.participant_id, s.unit.session_id) for s in scans]
        shown = {row.subject for row in rows}
        people = [Row.of(name) for name in (participants.rows if participants else ())]
        rows += [row for row in people if row.subject not in shown]
    if of_subjects(config):  # who else is excluded is not known here, and checked by other plans
        known = {row.name for row in rows} | {f"sub-{row.subject}" for row in rows}
        exclude = [entry for entry in exclude if entry in known]
    return left_out(rows, labels, exclude)


def _check_colours(config: dict, participants: Participants | None) -> None:
    """Raise `ConfigError` for a colour of a group that there is not; without groups there are no
    figures of them."""
    groups = _groups(config, participants) if config["stats"]["colours"] else set()
    known = groups | set(config["participants"]["groups"]) | set(config["stats"]["groups"])
    strangers = [name for name in config["stats"]["colours"] if name not in known]
    if groups and strangers:
        raise ConfigError(
            f"stats.colours: there is no group {short(', '.join(strangers))}; groups are "
            f"{short(', '.join(sorted(known)))}"
        )


def _groups(config: dict, participants: Participants | None) -> set[str]:
    """The groups of the participants, or of the table of metrics. Raises `DatasetError`."""
    if not config["metrics_table"]:
        people = list(participants.rows.values()) if participants else []
        people += [p for own in (participants.sessions if participants else {}).values()
                   for p in own.values()]  # fmt: skip
        return {person["group"] for person in people if person.get("group")}
    header, rows = _table(Path(config["metrics_table"]))
    names = (config["participants"]["columns"].get("group"), "group")
    column = next(filter(None, (find_column(header, name) for name in names if name)), None)
    cells = {" ".join(row[column].split()) for _, row in rows} if column else set()
    return {cell for cell in cells if cell.lower() not in MISSING}


def known_units(cohort: Cohort, config: dict) -> set[Unit]:
    """Everybody whom a rater may name: all units of the dataset, or rows of the table of metrics.

    Raises `CohortError`.
    """
    if not config["metrics_table"]:
        return set(cohort.units)
    found = set()
    try:
        for row in _rows_of(Path(config["metrics_table"])):
            with suppress(ValueError):  # a name that is none in BIDS, so that no rater can give it
                found.add(Unit(row.subject, row.session))
    except DatasetError as error:
        raise CohortError(str(error)) from None
    return found


def _rows_of(path: Path) -> list[Row]:
    """Who stands in a table of metrics. Raises `DatasetError`."""
    header, rows = _table(path)
    who, session = (find_column(header, name) for name in ("participant_id", "session_id"))
    if not who:
        raise DatasetError(f"{path}: no column participant_id; name the column of subjects so")
    given = [(row[who], row[session] if session else "") for _, row in rows]
    return [Row.of(name, None if s.lower() in MISSING else s) for name, s in given]


def _table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Header and rows of a table of metrics. Raises `DatasetError`."""
    try:
        return read_table(path, "," if path.suffix.lower() == ".csv" else "\t")
    except TableError as error:
        raise DatasetError(str(error)) from None


def reread(config: dict, index: str) -> Cohort:
    """The cohort as the main process indexed it; the file system is not searched again.

    Raises `CohortError` where the configuration is not that of the main process.
    """
    started = read_json(_start_file(index))
    if started["config"] != content_hash(config):
        raise CohortError(
            "the configuration changed while the workflow was running; run the same command again"
        )
    found = read_index(index)
    return Cohort(
        found.scans,
        left_out=started["left_out"],
        unused=found.unused,
        sources=started["sources"],
        tools=started["tools"],
    )


def _index(config: dict) -> Index:
    if config["metrics_table"]:
        if not Path(config["metrics_table"]).is_file():
            raise CohortError(
                f"metrics_table: there is no file {config['metrics_table']}; correct the path, or "
                "set it to null to make the table from images"
            )
        return Index([])
    if config["path_table"]:
        return Index(read_path_table(config["path_table"]))
    if no_dataset(config):
        if "train" in config:
            return Index([])
        raise CohortError("bids_dir is null; set it to your BIDS dataset")
    inputs, raters = config["inputs"], config["epvs"]["raters"]
    return read_bids(
        config["bids_dir"], inputs["filters"], inputs["several"], _patterns(config), raters,
        asked_subjects(config["bids_dir"], config["participant_label"])
        if of_subjects(config) else None,
    )  # fmt: skip


def _patterns(config: dict) -> dict[str, str | None]:
    """The pattern of each kind of `PROVIDED`."""
    return {kind: config[_stage_of(kind)][kind] for kind in PROVIDED}


def _stage_of(kind: str) -> str:
    return "anat" if kind == "brain_mask" else "epvs"


def _fitting(config: dict, scans: list[Scan]) -> dict[str, set[str]]:
    """Whom the configured patterns of files fit, by key; that of raters, which there is by default,
    only where it is another one or fits anybody.

    Raises `CohortError` for a pattern that fits nobody: no mask is passed over for a typing error.
    In a plan of some subjects, others may have what these lack.
    """
    if config["metrics_table"] or config["path_table"] or not scans:
        return {}
    root, found = Path(config["bids_dir"]), {}
    for kind, pattern in _patterns(config).items():
        if pattern:
            fits = {s.unit.prefix for s in scans if existing(root, s.unit, {kind: pattern})}
            found[f"{_stage_of(kind)}.{kind}"] = fits
    drawn = {
        s.unit.prefix for s in scans if s.raters or any(k.startswith(MASK_OF) for k in s.problems)
    }
    if drawn or config["epvs"]["raters"] not in (None, default("epvs", "raters")):
        found["epvs.raters"] = drawn
    unfit = [key for key, fits in found.items() if not fits]
    if unfit and not of_subjects(config):
        stage, kind = unfit[0].split(".")
        raise CohortError(
            f"{stage}.{kind}: '{short(config[stage][kind], WIDE)}' fits 0 of {len(scans)} "
            f"subject-sessions (it starts at {root}); correct the pattern, or set it to null"
        )
    return found


def start(cohort: Cohort, config: dict, index: str) -> None:
    """Take the output folder for this run, and write the index for its jobs.

    Raises `CohortError` where the folder cannot be written to, another run writes to it, or its
    results are newer than now.
    """
    folder = Path(config["output_dir"])
    units = [scan.unit for scan in cohort.scans] if of_subjects(config) else []
    try:
        free = integrity.hold_alone(folder, [unit.prefix for unit in units])
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"Permission denied: '{folder}'")
        if free:
            write_index(cohort.scans, index, cohort.unused)
            noted = {"sources": cohort.sources, "tools": cohort.tools, "left_out": cohort.left_out}
            write_json({"config": content_hash(config)} | noted, _start_file(index))
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
    ahead = integrity.results_in_future(folder, [unit.folder for unit in units] or [""])
    if ahead:
        raise CohortError(
            f"{len(ahead)} results are dated in the future, so that nothing can be newer than "
            f"they are: {ahead[0]} and so on; correct the clock, or delete these files"
        )


def _start_file(index: str) -> Path:
    """What the jobs of a run must find as it was at its start."""
    return Path(index).with_name("sources.json")


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
    found = [p for scan in scans for p in (*plan.files_of(scan), *scan.tables)]
    found += plan.files_of_all(config)
    found += [str(path) for path in (participants_file(config), config["metrics_table"]) if path]
    return found + [str(path) for path in _of_raters(config, review_folder(config).glob("*"))]


def _sources_of_subjects(scans: list[Scan], config: dict) -> list[str]:
    """Every file of the user's that a rule of single units reads: not the folders of others."""
    corrected = review_folder(config) / CORRECTED
    places = [path for path in review_folder(config).glob("*") if path != corrected]
    places += [corrected / scan.unit.folder for scan in scans]
    inside = _of_raters(config, places)
    found = [p for scan in scans for p in plan.files_of(scan)] + plan.files_of_all(config)
    return found + [str(path) for path in inside]


def _of_raters(config: dict, places: Iterable[Path]) -> list[Path]:
    """Files in or at ``places`` of the review folder; earlier versions of corrections count no
    more."""
    passed = review_folder(config) / HISTORY
    used = [place for place in places if place != passed]
    return [p for place in used for p in (place, *place.rglob("*")) if p.is_file()]


def _without_images(name: str, near: list[str]) -> Stop:
    """Of a row that fits nobody's images; ``near``: who has images, no row and such a name."""
    cure = "remove the row, or add the images"
    if near:
        cure = f"did you mean {short(' or '.join(near))}? correct the row, remove it, or add images"
    return Stop(f"{name} is in the participants table but has no images", "", cure, "inputs")


def participants_alike(cohort: Cohort) -> list[str]:
    """Participants of the dataset whose number is another's too: a row of the table that is called
    by it is nobody's of these but that one's, whoever is rated or left out."""
    names = {scan.unit.participant_id for scan in cohort.scans}
    return namesakes(names | {name.partition("_")[0] for name in cohort.left_out})


def unmatched(
    scans: list[Scan], participants: Participants, left_out: Iterable[str] = ()
) -> list[tuple[str, Stop]]:
    """Participants without images, and images without a participant: (participant_id, why).

    Who is left out, in all sessions or in one, has images that nobody asked for, and is listed
    elsewhere.
    """
    with_images = {scan.unit.participant_id for scan in scans}
    out = {name.partition("_")[0] for name in left_out}
    alike: dict[str, list[str]] = {}
    for name in sorted(with_images - set(participants.rows)):
        alike.setdefault(spelling(name), []).append(name)
    found = [
        (name, _without_images(name, alike.get(spelling(name), [])))
        for name in participants.rows
        if name not in with_images and name not in out
    ]
    found += [
        (name, Stop(f"{name} has images but no row in the participants table", "",
                    "add a row, or list it under exclude", "inputs"))
        for name in sorted(with_images - set(participants.rows))
        if participants.has_table
    ]  # fmt: skip
    for unit in (scan.unit for scan in scans):
        if unclear := participants.unclear(unit):
            reason = (
                f"{unit.prefix}: {', '.join(unclear)} of other sessions are in the table, and none "
                "of this one; taken as missing"
            )
            cure = "give the images or the table the same sessions"
            found.append((unit.participant_id, Stop(reason, "", cure, "inputs")))
    return found
