"""The index of a dataset: which files each subject-session has, made once and reused.

Reading a BIDS folder crawls the file system, so only snakemake's main process does it; the jobs it
starts read the index from the output folder instead.
"""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from glymph.common.errors import Stop
from glymph.common.images import read_json, write_json
from glymph.common.names import Unit

IMAGE_KINDS = ("T1w", "T2w", "FLAIR", "dwi")
PROVIDED = ("brain_mask", "region_labels", "epvs_mask", "lesion_mask")
"""What a lab can bring of its own, all on the T1w's grid or in its world coordinates."""
TABLE_COLUMNS = ("T1w", "T2w", "FLAIR", "dwi", "bval", "bvec", "json", *PROVIDED)
RATER_COLUMN = "rater_"


@dataclass(frozen=True)
class Scan:
    """The files of one unit.

    ``files`` maps a kind (T1w, T2w, FLAIR, dwi; bval, bvec, json of the dwi; `PROVIDED`) to its
    path. ``reverse`` lists images that may have the opposite phase encoding. ``problems`` says per
    kind why it is left out. ``raters`` maps a rater to the mask of perivascular spaces that they
    drew.
    """

    unit: Unit
    files: dict[str, str] = field(default_factory=dict)
    reverse: tuple[str, ...] = ()
    problems: dict[str, Stop] = field(default_factory=dict)
    raters: dict[str, str] = field(default_factory=dict)


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
    grouped: dict[Unit, list[dict]] = {}
    with_session = set()
    for row in bids2table.index_dataset(bids_dir).to_pylist():
        if not row["path"].startswith("sub-"):
            continue
        unit = Unit(row["sub"], row["ses"])
        grouped.setdefault(unit, []).append(row)
        if row["ses"]:
            with_session.add(row["sub"])
    return grouped


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
    no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"path_table '{path}' does not exist")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    if not rows or "participant_id" not in rows[0]:
        raise DatasetError(f"{path}: needs a header with participant_id and at least one row")
    unknown = set(rows[0]) - {"participant_id", "session_id", "reverse", *TABLE_COLUMNS}
    unknown = {c for c in unknown if not str(c).startswith(RATER_COLUMN)}
    if unknown:
        raise DatasetError(f"{path}: unknown columns {', '.join(sorted(map(str, unknown)))}")
    scans = [_scan_row(path, row) for row in rows]
    units = [scan.unit for scan in scans]
    twice = sorted({unit.prefix for unit in units if units.count(unit) > 1})
    if twice:
        raise DatasetError(f"{path}: more than one row for {', '.join(twice)}; keep one of each")
    return sorted(scans, key=lambda scan: scan.unit.prefix)


def _scan_row(table: Path, row: dict) -> Scan:
    def cell(name: str) -> str | None:
        value = (row.get(name) or "").strip()
        return None if value in ("", "n/a") else value

    def place(name: str) -> str | None:
        value = cell(name)
        return str((table.parent / value).resolve()) if value else None

    subject = (cell("participant_id") or "").removeprefix("sub-")
    session = (cell("session_id") or "").removeprefix("ses-") or None
    try:
        unit = Unit(subject, session)
    except ValueError as error:
        raise DatasetError(f"{table}: {error}") from None
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
        )
        for scan in read_json(path)["scans"]
    ]
