"""The index of a dataset: which files each subject-session has, made once and reused.

Reading a BIDS folder crawls the file system, so only snakemake's main process does it; the jobs it
starts read the index from the output folder instead.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from glymph.common.errors import Stop, brief, short
from glymph.common.images import read_json, write_json
from glymph.common.names import LABEL, PREFIX_PATTERN, Unit
from glymph.common.tables import TableError, read_table

IMAGE_KINDS = ("T1w", "T2w", "FLAIR", "dwi")
PROVIDED = ("brain_mask", "region_labels", "epvs_mask", "lesion_mask")
"""What a lab can bring of its own, all on the T1w's grid or in its world coordinates."""
CORRECTIONS = {
    "brain_mask": "{folder}/anat/{prefix}_desc-brain_mask.nii.gz",
    "region_labels": "{folder}/anat/{prefix}_space-T1w_res-1mm_desc-region_dseg.nii.gz",
    "epvs_mask": "{folder}/anat/{prefix}_label-EPVS_mask.nii.gz",
}
"""What a rater can correct: named as the result that it replaces, for one unit."""
TABLE_COLUMNS = ("T1w", "T2w", "FLAIR", "dwi", "bval", "bvec", "json", *PROVIDED)
RATER_COLUMN = "rater_"


@dataclass(frozen=True)
class Scan:
    """The files of one unit.

    ``files`` maps a kind (T1w, T2w, FLAIR, dwi; bval, bvec, json of the dwi; `PROVIDED`) to its
    path. ``reverse`` lists images that may have the opposite phase encoding. ``problems`` says per
    kind why it is left out. ``raters`` maps a rater to the mask of perivascular spaces that they
    drew. ``corrected`` names the kinds whose file a rater corrected: it replaces what any engine
    makes.
    """

    unit: Unit
    files: dict[str, str] = field(default_factory=dict)
    reverse: tuple[str, ...] = ()
    problems: dict[str, Stop] = field(default_factory=dict)
    raters: dict[str, str] = field(default_factory=dict)
    corrected: tuple[str, ...] = ()


class DatasetError(ValueError):
    """The dataset as a whole cannot be read; the message names the place and the cure."""


def scan_bids(
    bids_dir: str | Path,
    filters: dict,
    several: str,
    patterns: dict[str, str | None],
    rater_pattern: str | None = None,
) -> list[Scan]:
    """Index a BIDS folder: a list of `Scan`, sorted by unit.

    ``filters`` maps a kind to the BIDS entities its file must have, ``several`` (error, first,
    last) decides between several files that fit. ``patterns`` name what of `PROVIDED` there is,
    relative to ``bids_dir`` with ``{folder}`` and ``{prefix}``; ``rater_pattern`` the masks of
    raters, with ``{rater}`` beside these.
    """
    bids_dir = Path(bids_dir)
    if not bids_dir.is_dir():
        raise DatasetError(f"bids_dir '{bids_dir}' is no folder; set bids_dir to your BIDS dataset")
    grouped = _rows_by_unit(bids_dir)
    if not grouped:
        raise DatasetError(f"{bids_dir} holds no sub-*/ folder with images; is it a BIDS dataset?")
    raters = _find_raters(bids_dir, rater_pattern)
    return [
        _scan_unit(
            bids_dir, unit, grouped[unit], filters, several, patterns,
            {rater: rater_pattern.replace("{rater}", rater) for rater in raters},
        )
        for unit in sorted(grouped, key=lambda unit: unit.prefix)
    ]  # fmt: skip


def _find_raters(bids_dir: Path, pattern: str | None) -> list[str]:
    """The folders that stand where ``pattern`` has ``{rater}``."""
    if not pattern:
        return []
    before = pattern.split("{rater}")[0]
    return sorted(p.name for p in (bids_dir / before).glob("*") if p.is_dir())


def _rows_by_unit(bids_dir: Path) -> dict[Unit, list[dict]]:
    import bids2table

    # A file given BIDS entities only; bids2table wants this file to recognise a dataset.
    if not (bids_dir / "dataset_description.json").is_file():
        raise DatasetError(
            f"{bids_dir}/dataset_description.json is missing; every BIDS dataset has one "
            '(at least {"Name": "...", "BIDSVersion": "1.10.0"})'
        )
    _check_folders(bids_dir)
    grouped: dict[Unit, list[dict]] = {}
    try:
        rows = bids2table.index_dataset(bids_dir).to_pylist()
    except (UnicodeError, OverflowError) as error:  # names that are no text, runs of 20 digits
        raise DatasetError(
            f"{bids_dir}: a file name that is no BIDS name ({brief(error)}); rename the file"
        ) from None
    for row in rows:
        if row["path"].startswith("sub-"):
            grouped.setdefault(_unit_of_folder(row["path"]), []).append(row)
    return grouped


def _check_folders(bids_dir: Path) -> None:
    """`DatasetError` for folders of subjects that an index would pass over in silence."""
    for folder in sorted(bids_dir.glob("sub-*")):
        if folder.is_dir() and not re.fullmatch(f"sub-{LABEL}", folder.name):
            raise DatasetError(
                f"{bids_dir}: folder '{short(folder.name)}': a subject's label has letters and "
                "digits only; rename the folder and its files"
            )


def _unit_of_folder(path: str) -> Unit:
    """The unit in whose folder a file lies, whatever the file is called."""
    subject, *rest = path.split("/")[:-1]
    session = rest[0].removeprefix("ses-") if rest and rest[0].startswith("ses-") else None
    return Unit(subject.removeprefix("sub-"), session)


def _scan_unit(bids_dir, unit, rows, filters, several, patterns, raters) -> Scan:
    files, problems = {}, {}
    reverse = _images(rows, "fmap", "epi")
    for kind in IMAGE_KINDS:
        datatype = "dwi" if kind == "dwi" else "anat"
        candidates = _images(rows, datatype, kind)
        fitting = [r for r in candidates if _fits(r, filters.get(kind, {}))]
        if kind == "dwi":
            reverse += [r for r in candidates if r not in fitting]
        chosen = _choose(bids_dir, kind, fitting, several)
        if isinstance(chosen, Stop):
            problems[kind] = chosen
        else:
            files[kind] = str(bids_dir / chosen["path"])
    if "dwi" in files:
        files |= _dwi_sidecars(bids_dir, files["dwi"])
    files |= _existing(bids_dir, unit, patterns)
    found = tuple(sorted(str(bids_dir / r["path"]) for r in reverse))
    return Scan(unit, files, found, problems, _existing(bids_dir, unit, raters))


def _existing(bids_dir: Path, unit: Unit, patterns: dict[str, str | None]) -> dict[str, str]:
    """Those files of the named ``patterns`` that this unit has."""
    places = {
        name: bids_dir / pattern.format(folder=unit.folder, prefix=unit.prefix)
        for name, pattern in patterns.items()
        if pattern
    }
    return {name: str(place) for name, place in places.items() if place.is_file()}


def _images(rows: list[dict], datatype: str, suffix: str) -> list[dict]:
    found = [
        row
        for row in rows
        if (row["datatype"], row["suffix"]) == (datatype, suffix)
        and row["ext"] in (".nii.gz", ".nii")
    ]
    return sorted(found, key=lambda row: row["path"])


def _fits(row: dict, wanted: dict) -> bool:
    return all(str(row.get(entity)) == str(value) for entity, value in wanted.items())


def _choose(bids_dir: Path, kind: str, rows: list[dict], several: str) -> dict | Stop:
    if not rows:
        return Stop(f"no {kind} image", str(bids_dir), "add the image if it was acquired", "inputs")
    for row in rows:
        if Unit(row["sub"], row["ses"]) != _unit_of_folder(row["path"]):
            return Stop(
                "it lies in the folder of another subject or session than its name says",
                str(bids_dir / row["path"]), "find out whose image it is; rename or move it",
                "inputs",
            )  # fmt: skip
    if len(rows) > 1 and several == "error":
        names = ", ".join(Path(row["path"]).name for row in rows)
        return Stop(
            f"{len(rows)} {kind} images and no rule to choose: {names}",
            str(bids_dir / rows[0]["path"]),
            f"set inputs.filters.{kind} (say, run: 1) or inputs.several to first or last",
            "inputs",
        )
    return rows[-1] if several == "last" else rows[0]


def sidecar(image: str) -> str:
    """The JSON file that may lie beside an image."""
    return image.removesuffix(".gz").removesuffix(".nii") + ".json"


def _dwi_sidecars(bids_dir: Path, dwi: str) -> dict[str, str]:
    """Sidecars beside the image, or those of the whole dataset (BIDS inheritance)."""
    stem = dwi.removesuffix(".gz").removesuffix(".nii")
    found = {}
    for kind in ("bval", "bvec", "json"):
        places = (f"{stem}.{kind}", str(bids_dir / f"dwi.{kind}"))
        existing = next((place for place in places if os.path.isfile(place)), None)
        if existing:
            found[kind] = existing
    return found


def read_path_table(path: str | Path) -> list[Scan]:
    """Index data that are not in BIDS: a TSV with participant_id and a path per kind.

    Columns: participant_id (``sub-01``), optional session_id (``ses-a``), and any of T1w, T2w,
    FLAIR, dwi, bval, bvec, json, reverse, those of `PROVIDED`, and ``rater_NAME`` for masks of
    raters. Relative paths start at the table's folder; ``n/a`` or an empty cell means that there is
    no such file. Raises `DatasetError`.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"path_table '{path}' does not exist; correct the path")
    try:
        header, rows = read_table(path)
    except TableError as error:
        raise DatasetError(str(error)) from None
    if not rows or "participant_id" not in header:
        raise DatasetError(f"{path}: no column participant_id, or no row; add a header and rows")
    unknown = set(header) - {"participant_id", "session_id", "reverse", *TABLE_COLUMNS, ""}
    unknown = sorted(c for c in unknown if not c.startswith(RATER_COLUMN))
    if unknown:
        raise DatasetError(
            f"{path}: unknown columns {short(', '.join(unknown))}; known are participant_id, "
            f"session_id, reverse, {', '.join(TABLE_COLUMNS)}, {RATER_COLUMN}NAME"
        )
    scans = [_scan_row(path, number, row) for number, row in rows]
    twice = sorted(p for p, n in Counter(scan.unit.prefix for scan in scans).items() if n > 1)
    if twice:
        raise DatasetError(
            f"{path}: more than one row for {short(', '.join(twice))}; keep one of each"
        )
    return sorted(scans, key=lambda scan: scan.unit.prefix)


def _scan_row(table: Path, number: int, row: dict[str, str]) -> Scan:
    def cell(name: str) -> str | None:
        value = row.get(name, "")
        return None if value in ("", "n/a") else value

    def place(name: str) -> str | None:
        value = cell(name)
        try:
            return str((table.parent / value).resolve()) if value else None
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            raise DatasetError(
                f"{table}, line {number}: {name} is no path ({brief(error)}); correct it"
            ) from None

    subject = (cell("participant_id") or "").removeprefix("sub-")
    session = (cell("session_id") or "").removeprefix("ses-") or None
    if not subject:
        raise DatasetError(f"{table}, line {number}: participant_id is empty; fill it in")
    try:
        unit = Unit(subject, session)
    except ValueError as error:
        raise DatasetError(f"{table}, line {number}: {error}; correct it") from None
    files = {kind: place(kind) for kind in TABLE_COLUMNS if cell(kind)}
    missing = {
        kind: Stop(f"no {kind} image", str(table), "name the file in the table", "inputs")
        for kind in IMAGE_KINDS
        if kind not in files
    }
    raters = {
        column.removeprefix(RATER_COLUMN): place(column)
        for column in row
        if column.startswith(RATER_COLUMN) and cell(column)
    }
    return Scan(unit, files, (place("reverse"),) if cell("reverse") else (), missing, raters)


def with_corrections(scans: list[Scan], folder: Path) -> list[Scan]:
    """``scans`` with the `CORRECTIONS` that lie in ``folder`` in the place of other files.

    Those of subjects that are not in this run are left alone. Raises `DatasetError` for a file
    that is named as no correction: one that is not applied must not go unseen.
    """
    lying = {path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}
    for path in sorted(lying):
        if not _is_correction(path.relative_to(folder).as_posix()):
            wanted = ", ".join(n.format(folder="sub-X", prefix="sub-X") for n in
                               CORRECTIONS.values())  # fmt: skip
            raise DatasetError(
                f"{path} is named as no correction; name it as the result that it replaces "
                f"({wanted}), or take it out of {folder}"
            )
    found = []
    for scan in scans:
        names = {"folder": scan.unit.folder, "prefix": scan.unit.prefix}
        places = {kind: folder / name.format(**names) for kind, name in CORRECTIONS.items()}
        own = {kind: str(place) for kind, place in places.items() if place in lying}
        found.append(replace(scan, files=scan.files | own, corrected=tuple(sorted(own))))
    return found


def _is_correction(path: str) -> bool:
    """Whether ``path`` (from the folder of corrections) is one of `CORRECTIONS` for any unit."""
    for name in CORRECTIONS.values():
        suffix = name.partition("{prefix}")[2]
        prefix = path.rpartition("/")[2].removesuffix(suffix)
        if path.endswith(suffix) and re.fullmatch(PREFIX_PATTERN, prefix):
            unit = Unit.from_prefix(prefix)
            return path == name.format(folder=unit.folder, prefix=unit.prefix)
    return False


def write_index(scans: list[Scan], path: str | Path) -> None:
    """Write the index as JSON, only where it changed."""
    content = {"scans": [asdict(scan) for scan in scans]}
    path = Path(path)
    if path.is_file() and read_json(path) == _as_read(content):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(content, path)


def _as_read(content: dict) -> dict:
    for scan in content["scans"]:
        scan["reverse"] = list(scan["reverse"])
        scan["corrected"] = list(scan["corrected"])
    return content


def read_index(path: str | Path) -> list[Scan]:
    """The index that `write_index` wrote."""
    return [
        Scan(
            Unit(**scan["unit"]),
            scan["files"],
            tuple(scan["reverse"]),
            {kind: Stop(**stop) for kind, stop in scan["problems"].items()},
            scan["raters"],
            tuple(scan["corrected"]),
        )
        for scan in read_json(path)["scans"]
    ]
