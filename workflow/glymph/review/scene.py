"""What the viewer shows of one unit: images, objects, ALPS regions, corrections, commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np

from glymph.alps.roi import Sphere, load_rois
from glymph.common import legend
from glymph.common.names import Unit, region_names
from glymph.common.provenance import content_hash
from glymph.common.sidecars import read_json
from glymph.common.spaces import map_points
from glymph.review import rois, store
from glymph.review.corrections import BRAIN, decisions_of, place_of, present_epvs
from glymph.review.definitions import definitions
from glymph.review.objects import FILES
from glymph.review.pictures import RESULTS, TO_T1W, Pictures

ALPS = "desc-alps_dwi.json"
TEMPLATE_WAYS = {
    "affine": "from-T1w_to-template_desc-affine_mode-image_xfm.mat",
    "warp": "from-T1w_to-template_desc-warp_mode-image_xfm.nii.gz",
}
STEP_MM = 3.0
"""A region's way in the DWI is taken from points so far on either side of it."""


def scene(results: Path, folder: Path, unit: Unit, rater: str) -> dict:
    """Plain JSON. ``results``: the output folder; ``folder``: that of the review; ``rater``: whose
    decisions are shown, may be empty. Raises FileNotFoundError for a unit without results."""
    if not (results / unit.folder).is_dir():
        raise FileNotFoundError(f"there are no results of {unit.prefix}")
    own = Pictures(results, folder, unit)
    names = own.names()
    found = own.objects() if "numbers" in names else None
    places = _alps(own, folder)
    told = {
        "unit": unit.prefix,
        "participant": unit.participant_id,
        "session": unit.session_id,
        "images": names,
        "labels": {str(k): v for k, v in legend.definitions()["labels"].items()},
        "regions": {k: v["label"] for k, v in legend.definitions()["regions"].items()},
        "result": result_of(results, unit),
        "objects": [],
        "decided": [],
        "alps": places,
        "corrections": _corrections(own, folder, places),
        "commands": commands(results, folder, unit),
    }
    if found:
        mask, elsewhere = present_epvs(folder, unit, found)
        left = np.bincount(found.numbers[mask], minlength=int(found.numbers.max()) + 1)
        told["objects"] = [row | {"left": int(left[row["object"]])} for row in found.rows]
        told["decided"] = decisions_of(folder, unit, rater)
        told["elsewhere"] = elsewhere
        told["pending"] = bool((mask != found.counted).any())
    return told


def result_of(results: Path, unit: Unit) -> list[str]:
    """What tells this result from another, in which objects have other numbers."""
    return [store.version(results / unit.path("anat", file)) for file in FILES.values()]


def versions(folder: Path, unit: Unit) -> dict[str, dict]:
    """Of every correction that lies there now: its version, by whom, when."""
    told = {kind: store.made_by(folder, place_of(kind, unit)) for kind in ("epvs", "brain")}
    rows = rois.rows_of(folder, unit)
    now = store.made_by(folder, rois.TABLE)
    known = max((row for row in rows if row.get("time")), key=lambda r: r["time"], default={})
    told["roi"] = {
        "version": content_hash(rows) if rows else "",
        "rater": known.get("rater") or None,
        "time": known.get("time") or (now["time"] if rows else None),
    }
    return told


def _corrections(own: Pictures, folder: Path, places: list[dict]) -> dict[str, dict]:
    why = {
        "epvs": "" if own.makes("numbers") else "no perivascular spaces were segmented here",
        "brain": "" if own.has("anat", BRAIN) and own.has(*RESULTS["t1w_own"])
        else "there is no brain mask of a T1w",
        "roi": "" if own.has("dwi", ALPS) else "there is no ALPS index, hence no regions",
    }  # fmt: skip
    if not why["roi"] and not any(place["shiftable"] for place in places):
        why["roi"] = "the regions are masks, not spheres; put another mask into review/rois.tsv"
    about, now = definitions()["corrections"], versions(folder, own.unit)
    return {
        kind: {"label": about[kind]["label"], "again": about[kind]["again"], "not": why[kind]}
        | now[kind]
        for kind in why
    }


def _alps(own: Pictures, folder: Path) -> list[dict]:
    """The four regions: centre in the template and in the DWI's world (mm), the shift now in force,
    and how far 1 mm along each of the template's axes moves it in the DWI: ``way`` (3 vectors)."""
    if not own.has("dwi", ALPS):
        return []
    settings = read_json(own.results / own.unit.path("dwi", ALPS))["Parameters"]
    chain = _from_template(own)
    now = {row["roi"]: row for row in rois.rows_of(folder, own.unit)}
    told = []
    for name, roi in zip(region_names(), load_rois(settings).values(), strict=True):
        row = now.get(name, {})
        shift = [float(row.get(axis) or 0) for axis in rois.SHIFTS]
        place = {"region": name, "shift": shift, "mask": row.get("mask") or "", "shiftable": False}
        if isinstance(roi, Sphere) and chain and not place["mask"]:
            steps = STEP_MM * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
            there = map_points(np.asarray(roi.centre) + steps, chain)
            way = (there[1:4] - there[4:7]) / (2 * STEP_MM)
            place |= {"shiftable": True, "diameter": roi.diameter, "template": list(roi.centre),
                      "centre": there[0].tolist(), "way": way.tolist()}  # fmt: skip
        told.append(place)
    return told


def _from_template(own: Pictures) -> list[tuple[str, bool]]:
    """The chain for `map_points` from the template to the DWI's world; empty where files lack."""

    def path(datatype, name):
        return str(own.results / own.unit.path(datatype, name))

    if own.has("dwi", TO_T1W) and all(own.has("anat", name) for name in TEMPLATE_WAYS.values()):
        warp, affine = (path("anat", TEMPLATE_WAYS[name]) for name in ("warp", "affine"))
        return [(warp, False), (affine, False), (path("dwi", TO_T1W), True)]
    direct = [name.replace("T1w", "dwi") for name in TEMPLATE_WAYS.values()]
    if all(own.has("dwi", name) for name in direct):
        return [(path("dwi", direct[1]), False), (path("dwi", direct[0]), False)]
    return []


def commands(results: Path, folder: Path, unit: Unit) -> dict[str, str]:
    """Command lines that open this unit's images in other viewers, by the viewer's name."""
    own = Pictures(results, folder, unit)
    images = [RESULTS[name] for name in ("t2w", "t1w") if own.has(*RESULTS[name])]
    base = [str((results / unit.path(*place)).resolve()) for place in images]
    labels = results / unit.path("anat", "space-T1w_res-1mm_desc-EPVS_dseg.nii.gz")
    if not base:
        return {}
    over = [str(labels.resolve())] if own.makes("numbers") else []
    return {
        "FSLeyes": shlex.join(
            ["fsleyes", *base, *(a for p in over for a in (p, "-ot", "label", "-o"))]
        ),
        "ITK-SNAP": shlex.join(
            ["itksnap", "-g", base[0], *(["-o", *base[1:]] if base[1:] else []),
             *(a for p in over for a in ("-s", p))]
        ),
        "Freeview": shlex.join(
            ["freeview", "-v", *base, *(f"{p}:colormap=lut:outline=1" for p in over)]
        ),
    }  # fmt: skip
