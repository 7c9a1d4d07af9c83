"""The index of a dataset: which files each subject-session has, made once and reused.

Reading a BIDS folder crawls the file system, so only snakemake's main process does it; the jobs it
starts read the index from the output folder instead.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

from glymph.common.bids import applicable, listing
from glymph.common.errors import BadInput, Stop, short
from glymph.common.names import PREFIX_PATTERN, Unit
from glymph.common.sidecars import read_json, write_json
from glymph.common.tables import MISSING, TableError, read_table
from glymph.inputs.choose import Rule, choose, half, no_magnitude, settled, stranger
from glymph.inputs.survey import DatasetError, Unused, no_t1w, survey

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
MASK_OF = "mask of "
"""Before a rater's name: a mask whose content is not here, among the problems."""
DWI_PARTS = ("bval", "bvec", "json")
METADATA = tuple(f".{part}" for part in DWI_PARTS)


@dataclass(frozen=True)
class Scan:
    """The files of one unit.

    ``files`` maps a kind (T1w, T2w, FLAIR, dwi; bval, bvec, json of the dwi; `PROVIDED`) to its
    path. ``reverse`` lists images that may have the opposite phase encoding, ``sidecars`` every
    JSON that applies to one of these or to the dwi, ``tables`` those of sessions and scans.
    ``problems`` says per kind why it is left out. ``raters`` maps a rater to the mask of
    perivascular spaces that they drew. ``corrected`` names the kinds whose file a rater corrected:
    it replaces what any engine makes.
    """

    unit: Unit
    files: dict[str, str] = field(default_factory=dict)
    reverse: tuple[str, ...] = ()
    problems: dict[str, Stop] = field(default_factory=dict)
    raters: dict[str, str] = field(default_factory=dict)
    corrected: tuple[str, ...] = ()
    sidecars: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Index:
    """What a dataset holds: ``scans`` sorted by unit, and what is ``unused``."""

    scans: list[Scan]
    unused: list[Unused] = field(default_factory=list)


def scan_bids(
    bids_dir: str | Path,
    filters: dict,
    several: str,
    patterns: dict[str, str | None],
    rater_pattern: str | None = None,
) -> list[Scan]:
    """The scans of `read_bids`."""
    return read_bids(bids_dir, filters, several, patterns, rater_pattern).scans


def read_bids(
    bids_dir: str | Path,
    filters: dict,
    several: str,
    patterns: dict[str, str | None],
    rater_pattern: str | None = None,
    only: Collection[str] | None = None,
) -> Index:
    """Index a BIDS folder.

    ``filters`` maps a kind to the BIDS entities its file must have (`choose.fits`), ``several``
    (error, first, last) decides between several files that fit. ``patterns`` name what of
    `PROVIDED` there is, relative to ``bids_dir`` with ``{folder}`` and ``{prefix}``;
    ``rater_pattern`` the masks of raters, with ``{rater}`` beside these. ``only`` names the folders
    of subjects that are looked into (None: all). Raises `DatasetError`.
    """
    bids_dir = Path(bids_dir)
    found = survey(bids_dir, only)
    rule = Rule(settled(filters), several)
    raters = {
        rater: rater_pattern.replace("{rater}", rater)
        for rater in _find_raters(bids_dir, rater_pattern)
    }
    names = cache(lambda folder: [n for n in listing(folder) if n.endswith(METADATA)])
    scans, unused = [], list(found.unused)
    for unit in sorted(found.images, key=lambda unit: unit.prefix):
        scan, left = _scan_unit(bids_dir, unit, found, rule, names)
        files = scan.files | existing(bids_dir, unit, patterns)
        scan = replace(scan, files=files, raters=existing(bids_dir, unit, raters))
        scans.append(_without_absent(scan))
        unused += [Unused.of(unit, stop) for stop in left]
    return Index(scans, unused)


def _find_raters(bids_dir: Path, pattern: str | None) -> list[str]:
    """The folders that stand where ``pattern`` has ``{rater}``."""
    if not pattern:
        return []
    before = pattern.split("{rater}")[0]
    return sorted(p.name for p in (bids_dir / before).glob("*") if p.is_dir())


def _scan_unit(bids_dir, unit, found, rule, names) -> tuple[Scan, list[Stop]]:
    """The scan of ``unit``, and its images that are not used, with the reason."""
    files, problems, sidecars = {}, {}, []
    unused: list[Stop] = []
    images = found.images[unit]
    above = [Unit(unit.subject)] if unit.session else []
    fieldmaps = [i for u in (unit, *above) for i in found.fieldmaps.get(u, {}).get("epi", [])]
    reverse = [image for image in fieldmaps if not no_magnitude(image)]
    unused += [half(image) for image in fieldmaps if image not in reverse]
    for kind in IMAGE_KINDS:
        candidates = images.get(kind, [])
        own = [image for image in candidates if image.own_unit == (unit.subject, unit.session)]
        strangers = [stranger(image) for image in candidates if image not in own]
        chosen = choose(bids_dir, kind, own, rule) if own or not strangers else strangers.pop(0)
        unused += strangers
        others = [image for image in own if image is not chosen]
        if isinstance(chosen, Stop):
            problems[kind] = chosen
            unused += rule.not_asked_for(own)
        else:
            files[kind] = chosen.path
            unused += [rule.passed_over(image, chosen) for image in others]
        if kind == "dwi":
            reverse += [image for image in others if not no_magnitude(image)]
    if unit in found.unit1 and not images.get("T1w"):
        problems["T1w"] = no_t1w(found.unit1[unit])
    try:
        if "dwi" in files:
            files |= _dwi_sidecars(files["dwi"], str(bids_dir), names)
            sidecars = _metadata(files["dwi"], [i.path for i in reverse], str(bids_dir), names)
    except BadInput as error:
        problems["dwi"] = replace(error.stop, stage="inputs")
        files.pop("dwi")
    opposite = sorted(image.path for image in reverse) if "dwi" in files else []
    tables = [*found.tables.get(Unit(unit.subject), []), *found.tables.get(unit, [])]
    scan = Scan(unit, files, tuple(opposite), problems, sidecars=tuple(sidecars),
                tables=tuple(dict.fromkeys(tables)))  # fmt: skip
    return scan, unused


def _dwi_sidecars(dwi: str, root: str, names) -> dict[str, str]:
    """The nearest bval, bvec and JSON that apply to the image (BIDS inheritance)."""
    found = {k: applicable(dwi, f".{k}", root, names) for k in ("bval", "bvec", "json")}
    return {kind: paths[-1] for kind, paths in found.items() if paths}


def _metadata(dwi: str, reverse: list[str], root: str, names) -> list[str]:
    """Every JSON that applies to the series or to one of the images that may correct it."""
    found = applicable(dwi, ".json", root, names)
    for image in reverse:
        with suppress(BadInput):  # two apply equally: that image will not be used
            found = found + applicable(image, ".json", root, names)
    return list(dict.fromkeys(found))


def _without_absent(scan: Scan) -> Scan:
    """``scan`` without the images whose content, or that of what belongs to them, is not here.

    A dataset under git-annex has links in the place of files until their content is fetched.
    """
    files, problems = dict(scan.files), dict(scan.problems)
    absent = {kind: path for kind, path in files.items() if not os.path.isfile(path)}
    for kind in IMAGE_KINDS:
        parts = {"T1w": ("T1w", *PROVIDED), "dwi": ("dwi", *DWI_PARTS)}.get(kind, (kind,))
        gone = [absent[part] for part in parts if part in absent]
        if gone:
            problems[kind] = _absent(gone[0])
            files = {k: path for k, path in files.items() if k not in parts}
    fieldmaps = [path for path in (*scan.reverse, *scan.sidecars) if not os.path.isfile(path)]
    chain = applicable(files["dwi"], ".json") if fieldmaps and "dwi" in files else []
    own = {os.path.abspath(path) for path in chain}
    inherited = [path for path in fieldmaps if os.path.abspath(path) in own]
    if inherited:
        problems["dwi"] = _absent(inherited[0])
        files = {k: path for k, path in files.items() if k not in ("dwi", *DWI_PARTS)}
    elif fieldmaps and "dwi" in files:
        problems["fieldmap"] = _absent(fieldmaps[0])
    drawn = {rater: path for rater, path in scan.raters.items() if os.path.isfile(path)}
    problems |= {
        f"{MASK_OF}{rater}": _absent(path)
        for rater, path in scan.raters.items()
        if rater not in drawn
    }
    return replace(
        scan,
        files=files,
        problems=problems,
        raters=drawn,
        reverse=tuple(path for path in scan.reverse if path not in fieldmaps),
        sidecars=tuple(path for path in scan.sidecars if path not in fieldmaps),
    )


def _absent(path: str) -> Stop:
    if os.path.islink(path):
        return Stop("its content is not here: a link to nothing (git-annex?)", path,
                    f"datalad get {path}", "inputs")  # fmt: skip
    return Stop("there is no such file", path, "correct the path, or fetch the file", "inputs")


def existing(bids_dir: Path, unit: Unit, patterns: dict[str, str | None]) -> dict[str, str]:
    """Those files of the named ``patterns`` that this unit has, also as a link to nothing."""
    places = {
        name: str(bids_dir / pattern.format(folder=unit.folder, prefix=unit.prefix))
        for name, pattern in patterns.items()
        if pattern
    }
    return {name: place for name, place in places.items() if os.path.lexists(place)}


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
        return None if value.lower() in MISSING else value

    def place(name: str) -> str | None:
        value = os.path.expandvars(os.path.expanduser(cell(name) or ""))
        # Links stay: beside them, not beside what they lead to, lie the other files.
        return os.path.abspath(table.parent / value) if value else None

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
    reverse = (place("reverse"),) if cell("reverse") else ()
    sidecars = [path for image in (files.get("dwi"), *reverse) if image
                for path in applicable(image, ".json")]  # fmt: skip
    scan = Scan(unit, files, reverse, missing, raters, sidecars=tuple(dict.fromkeys(sidecars)))
    return _without_absent(scan)


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


def write_index(scans: list[Scan], path: str | Path, unused: Sequence[Unused] = ()) -> None:
    """Write the index as JSON, only where it changed."""
    content = {"scans": [asdict(s) for s in scans], "unused": [asdict(one) for one in unused]}
    path = Path(path)
    if path.is_file() and read_json(path) == _as_read(content):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(content, path)


def _as_read(content: dict) -> dict:
    for scan in content["scans"]:
        for name in ("reverse", "corrected", "sidecars", "tables"):
            scan[name] = list(scan[name])
    return content


def read_index(path: str | Path) -> Index:
    """The index that `write_index` wrote."""
    content = read_json(path)
    scans = [
        Scan(
            Unit(**scan["unit"]),
            scan["files"],
            tuple(scan["reverse"]),
            {kind: Stop(**stop) for kind, stop in scan["problems"].items()},
            scan["raters"],
            tuple(scan["corrected"]),
            tuple(scan["sidecars"]),
            tuple(scan["tables"]),
        )
        for scan in content["scans"]
    ]
    return Index(
        scans, [Unused(**one | {"stop": Stop(**one["stop"])}) for one in content["unused"]]
    )
