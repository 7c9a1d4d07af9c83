"""The ALPS index in all versions, for regions as carried and as placed, and their quality."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from glymph.alps import axes as axis_versions
from glymph.alps import placement
from glymph.alps.region import Measured, angle, eigenvalue_ratio, measure, shape
from glymph.alps.roi import Rois, Shifted, coverage
from glymph.common.errors import BadInput, Stop
from glymph.common.names import ALPS_AXES, HEMISPHERES, RATIO, TRACTS, alps_version
from glymph.common.registry import checked
from glymph.common.spaces import head_angles, nearest_anatomical_axes

SHAPE = ("l2_l3", "mode", "l1_share")


@dataclass(frozen=True)
class Limits:
    """What a region must be to give an index.

    ``coverage``: least share in usable voxels; ``angle``: largest angle (degrees) between its mean
    principal direction and its tract's axis in the template; ``fa``: least mean FA; ``score``:
    least score (`placement`) of a region that sought its tract, for one that looks far from it
    finds something.
    """

    coverage: float = 0.5
    angle: float = 45.0
    fa: float = 0.15
    score: float = 0.15


LOOK = "look at the registration, at the regions on colour FA, and at the DWI's field of view"


@dataclass(frozen=True)
class Space:
    """Where the tensors lie: the DWI's ``affine``, the transform chains for `map_points` between
    its world and the template's, and ``rotation`` (3x3), that part of the way to the template."""

    affine: np.ndarray
    to_template: list
    from_template: list
    rotation: np.ndarray

    def tract_axes(self) -> dict[str, np.ndarray]:
        """Of each tract, the template's axis that it runs along, in the DWI's world."""
        axes = axis_versions.template(self.rotation)
        return {tract: axes[:, axis_versions.FIBRE[tract]] for tract in TRACTS}


@dataclass(frozen=True)
class Result:
    """All ALPS metrics of one DWI; per placement the regions' coverage maps (x, y, z, 4) in the
    order of `region_names`; the shift of each region that placement chose; what has no index."""

    values: dict[str, float | None]
    regions: dict[str, np.ndarray]
    shifts: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    stops: list[Stop] = field(default_factory=list)


def alps(projection: np.ndarray, association: np.ndarray) -> float:
    """ALPS of one hemisphere from the diffusivities (Dxx, Dyy, Dzz) of its two regions.

    mean(Dxx projection, Dxx association) / mean(Dyy projection, Dzz association);
    Taoka 2017 (10.1007/s11604-017-0617-z).
    """
    return float((projection[0] + association[0]) / (projection[1] + association[2]))


def compute(
    maps: dict[str, np.ndarray],
    space: Space,
    rois: Rois,
    reported_axes: str,
    limits: Limits,
    reach: float = placement.REACH_MM,
    reported_placement: str = "fixed",
) -> Result:
    """ALPS of one DWI in all axis versions, with its regions as carried and as placed.

    ``reported_axes`` names the axes in which the single diffusivities are given, of the regions of
    ``reported_placement``. A hemisphere with a region beyond the ``limits`` gets None, never a
    number, and a `Stop` says why: a region that does not lie in its tract gives a value that means
    nothing. Raises `BadInput` where neither hemisphere can be measured as reported.
    """
    places = _places(maps, space, rois, reach)
    moved = {key: Shifted(rois[key], place.shift) if any(place.shift) else rois[key]
             for key, place in places.items()}  # fmt: skip
    values: dict[str, float | None] = {}
    stops: list[Stop] = []
    regions = {}
    for name, placed in (("fixed", rois), ("adaptive", moved)):
        found, regions[name] = _measure_all(maps, space, placed)
        report = reported_axes if name == reported_placement else None
        scores = {key: place.score for key, place in places.items()} if name == "adaptive" else {}
        own, unusable = _index(found, scores, space, limits, name, report)
        values |= own
        stops += unusable
        if name == reported_placement and all(
            own[f"alps_{alps_version(name, 'template')}_{side}"] is None for side in HEMISPHERES
        ):
            raise BadInput("; ".join(stop.reason for stop in unusable), cure=LOOK)
        values |= _quality(found, space) if name == "fixed" else _moved(found, space, places)
    values["alps_native_template_difference"] = _difference(values)
    shifts = {f"{h}_{t}": place.shift for (h, t), place in places.items()}
    return Result(checked(values | _pose(space)), regions, shifts, stops)


def _places(maps, space: Space, rois: Rois, reach: float) -> dict:
    """(hemisphere, tract) -> `placement.Place`."""
    found = {}
    for hemisphere in HEMISPHERES:
        pair = {tract: rois[hemisphere, tract] for tract in TRACTS}
        places = placement.find(
            pair, maps, space.affine, space.from_template, space.tract_axes(), reach
        )
        found |= {(hemisphere, tract): place for tract, place in places.items()}
    return found


def _measure_all(maps, space: Space, rois: Rois) -> tuple[dict, np.ndarray]:
    """(hemisphere, tract) -> `Measured`, and the coverage maps (x, y, z, 4)."""
    found, weights = {}, np.zeros((*maps["md"].shape, 4), np.float32)
    for number, key in enumerate((h, t) for h in HEMISPHERES for t in TRACTS):
        voxels, share = coverage(rois[key], space.affine, space.to_template, space.from_template)
        found[key] = measure(voxels, share, maps)
        inside = ((voxels >= 0) & (voxels < maps["md"].shape)).all(axis=1)
        weights[(*voxels[inside].T, number)] = share[inside]
    return found, weights


def _index(
    found: dict, scores: dict, space: Space, limits: Limits, placed: str, reported: str | None
) -> tuple[dict, list[Stop]]:
    """The index in every version, and why a hemisphere has none; in ``reported`` axes also the
    single diffusivities. ``scores``: of regions that sought their tract."""
    values: dict[str, float | None] = {}
    stops = []
    what = "ALPS" if placed == "fixed" else f"{placed} ALPS"
    for hemisphere in HEMISPHERES:
        pair = {tract: found[hemisphere, tract] for tract in TRACTS}
        faults = _faults(pair, space, limits)
        for tract in pair:
            score = scores.get((hemisphere, tract))
            if score is not None and score < limits.score:
                faults.append((tract, f"finds no place like its tract (score {score:.2f})"))
        if faults:
            listed = "; ".join(f"the {hemisphere} {tract} region {why}" for tract, why in faults)
            stops.append(Stop(f"no {what} on the {hemisphere}: {listed}", "", LOOK))
        read = {} if faults else axis_versions.diffusivities(pair, space.affine, space.rotation)
        for version in ALPS_AXES:
            name = f"alps_{alps_version(placed, version)}_{hemisphere}"
            values[name] = _known(alps(**read[version])) if read else None
        ratios = [None if faults else eigenvalue_ratio(roi.tensor) for roi in pair.values()]
        ratio = None if None in ratios else float(np.mean(ratios))
        values[f"alps_{alps_version(placed, RATIO)}_{hemisphere}"] = ratio
        for tract in TRACTS if reported else ():
            single = map(_known, read[reported][tract]) if read else (None,) * 3
            names = (f"alps_{hemisphere}_{tract}_{axis}" for axis in ("dxx", "dyy", "dzz"))
            values |= dict(zip(names, single, strict=True))
    return values | _both_sides(values, placed), stops


def _known(value: float) -> float | None:
    """None for what is not a number: a version of the axes that a region's voxels do not allow."""
    return float(value) if np.isfinite(value) else None


def _both_sides(values: dict, placed: str) -> dict[str, float | None]:
    """Mean of both sides of every version and of the eigenvalue ratio, asymmetry of versions."""
    found = {}
    for version in (*ALPS_AXES, RATIO):
        stem = f"alps_{alps_version(placed, version)}"
        left, right = (values[f"{stem}_{hemisphere}"] for hemisphere in HEMISPHERES)
        whole = None if None in (left, right) else (left + right) / 2
        found[f"{stem}_mean"] = whole
        if version != RATIO:
            found[f"{stem}_asymmetry"] = None if whole is None else (left - right) / whole
    return found


def _faults(pair: dict[str, Measured], space: Space, limits: Limits) -> list[tuple[str, str]]:
    """(tract, why) of the regions of a hemisphere that give no index."""
    axes = space.tract_axes()
    found = [(tract, _fault(roi, axes[tract], limits)) for tract, roi in pair.items()]
    return [(tract, why) for tract, why in found if why]


def _fault(roi: Measured, axis: np.ndarray, limits: Limits) -> str:
    """Why a region gives no index; "" where it does. ``axis``: of its tract, in world axes."""
    if roi.voxels <= 0 or roi.coverage < limits.coverage:
        return f"has {roi.coverage:.0%} of its volume in usable voxels"
    if roi.fa < limits.fa:
        return f"has an FA of {roi.fa:.2f}, which is no white matter"
    if angle(roi.v1, axis) > limits.angle:
        return f"lies {angle(roi.v1, axis):.0f} degrees off its tract's direction"
    return ""


def _quality(found: dict, space: Space) -> dict[str, float | None]:
    """What the regions hold beside the index."""
    values, axes = {}, space.tract_axes()
    head = axis_versions.template(space.rotation)
    for (hemisphere, tract), roi in found.items():
        stem = f"alps_{hemisphere}_{tract}"
        values |= {
            f"{stem}_fa": roi.fa,
            f"{stem}_md": roi.md,
            f"{stem}_voxels": roi.voxels,
            f"{stem}_coverage": roi.coverage,
            f"{stem}_v1_angle": None if roi.v1 is None else angle(roi.v1, axes[tract]),
        }
        below = head[:, axis_versions.ACROSS[tract]]
        known = dict.fromkeys(SHAPE) if roi.tensor is None else shape(roi.tensor, below)
        values |= {f"{stem}_{name}": value for name, value in known.items()}
    return values


def _moved(found: dict, space: Space, places: dict) -> dict[str, float | None]:
    """How far placement moved each region, what that gained, and what it holds there."""
    values, axes = {}, space.tract_axes()
    for (hemisphere, tract), roi in found.items():
        place, stem = places[hemisphere, tract], f"alps_{hemisphere}_{tract}"
        values |= {
            f"{stem}_shift": float(np.linalg.norm(place.shift)),
            f"{stem}_score": place.score_at_start,
            f"{stem}_adaptive_score": place.score,
            f"{stem}_adaptive_fa": roi.fa,
            f"{stem}_adaptive_v1_angle": None if roi.v1 is None else angle(roi.v1, axes[tract]),
        }
    return values


def _difference(values: dict) -> float | None:
    pair = values["alps_native_mean"], values["alps_template_mean"]
    return None if None in pair else pair[0] - pair[1]


def _pose(space: Space) -> dict[str, float]:
    """How the head lies in the scanner and how the grid lies against the template."""
    head = head_angles(space.rotation.T)
    grid = head_angles(space.rotation @ nearest_anatomical_axes(space.affine))
    return {
        "head_pitch": head["pitch"],
        "head_roll": head["roll"],
        "head_yaw": head["yaw"],
        "grid_tilt": grid["angle"],
    }
