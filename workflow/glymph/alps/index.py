"""The ALPS index and the quality of its regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glymph.alps import axes as axis_versions
from glymph.alps.roi import Rois, coverage
from glymph.common.errors import BadInput, Stop
from glymph.common.names import HEMISPHERES, TRACTS
from glymph.common.registry import checked
from glymph.common.spaces import head_angles, nearest_anatomical_axes

EXPECTED_AXIS = {"projection": 2, "association": 1}
DENOMINATOR_AXIS = {"projection": 1, "association": 2}
SHAPE = ("l2_l3", "mode", "l1_share")


@dataclass(frozen=True)
class Limits:
    """What a region must be to give an index.

    ``coverage``: least share in usable voxels; ``angle``: largest angle (degrees) between its mean
    principal direction and its tract's axis in the template; ``fa``: least mean FA.
    """

    coverage: float = 0.5
    angle: float = 45.0
    fa: float = 0.15


LOOK = "look at the registration, at the regions on colour FA, and at the DWI's field of view"


@dataclass(frozen=True)
class Measured:
    """One region: mean ``tensor`` (3, 3) in world axes, mean FA and MD, and its quality.

    ``voxels`` is the sum of weights of usable voxels, ``coverage`` its share of all weights, ``v1``
    the principal direction of the mean dyadic (world axes). All None where nothing is usable.
    """

    tensor: np.ndarray | None
    fa: float | None
    md: float | None
    v1: np.ndarray | None
    voxels: float
    coverage: float


def measure(voxels: np.ndarray, weights: np.ndarray, maps: dict[str, np.ndarray]) -> Measured:
    """Coverage-weighted means over the voxels of one region.

    ``maps`` holds tensor (x, y, z, 3, 3), fa, md (x, y, z) and v1 (x, y, z, 3). A voxel outside
    the image, or without a tensor (MD 0 or less), does not count.
    """
    inside = ((voxels >= 0) & (voxels < maps["md"].shape)).all(axis=1)
    place = tuple(voxels[inside].T)
    usable = maps["md"][place] > 0
    place = tuple(axis[usable] for axis in place)
    weight = weights[inside][usable].astype(np.float64)
    total = float(weight.sum())
    share = total / float(weights.sum()) if len(weights) else 0.0
    if total <= 0:
        return Measured(None, None, None, None, 0.0, 0.0)
    v1 = maps["v1"][place].astype(np.float64)
    dyadic = np.einsum("n,ni,nj->ij", weight, v1, v1)
    return Measured(
        tensor=np.average(maps["tensor"][place].astype(np.float64), axis=0, weights=weight),
        fa=float(np.average(maps["fa"][place], weights=weight)),
        md=float(np.average(maps["md"][place], weights=weight)),
        v1=np.linalg.eigh(dyadic)[1][:, 2],
        voxels=total,
        coverage=share,
    )


def alps(projection: np.ndarray, association: np.ndarray) -> float:
    """ALPS of one hemisphere from two tensors (3, 3) whose axes are x, y, z.

    mean(Dxx projection, Dxx association) / mean(Dyy projection, Dzz association);
    Taoka 2017 (10.1007/s11604-017-0617-z).
    """
    across = projection[0, 0] + association[0, 0]
    return float(across / (projection[1, 1] + association[2, 2]))


def compute(
    maps: dict[str, np.ndarray],
    affine: np.ndarray,
    rois: Rois,
    to_template: list,
    from_template: list,
    rotation: np.ndarray,
    reported_axes: str,
    limits: Limits,
) -> tuple[dict[str, float | None], np.ndarray, list[Stop]]:
    """All ALPS metrics of one DWI, the regions' coverage maps (x, y, z, 4), and what has no index.

    ``rotation`` (3x3) is the rotation part of the DWI-to-template transform. ``reported_axes``
    names the axes in which the single diffusivities are given. A hemisphere with a region beyond
    the ``limits`` gets None, never a number, and a `Stop` says why: a region that does not lie in
    its tract gives a value that means nothing. The order of the coverage maps is that of
    `region_names`. Raises `BadInput` where no hemisphere can be measured.
    """
    found, weights = {}, np.zeros((*maps["md"].shape, 4), np.float32)
    for number, key in enumerate((h, t) for h in HEMISPHERES for t in TRACTS):
        voxels, share = coverage(rois[key], affine, to_template, from_template)
        found[key] = measure(voxels, share, maps)
        inside = ((voxels >= 0) & (voxels < maps["md"].shape)).all(axis=1)
        weights[(*voxels[inside].T, number)] = share[inside]
    values: dict[str, float | None] = {}
    stops = []
    for hemisphere in HEMISPHERES:
        pair = {tract: found[hemisphere, tract] for tract in TRACTS}
        faults = _faults(pair, rotation, limits)
        usable = not faults
        if faults:
            listed = "; ".join(f"the {hemisphere} {tract} region {why}" for tract, why in faults)
            stops.append(Stop(f"no ALPS on the {hemisphere}: {listed}", "", LOOK))
        values |= _hemisphere(hemisphere, pair, usable, affine, rotation, reported_axes)
    for version in axis_versions.AXES:
        sides = [values[f"alps_{version}_{hemisphere}"] for hemisphere in HEMISPHERES]
        whole = None if None in sides else float(np.mean(sides))
        values[f"alps_{version}_mean"] = whole
        difference = None if whole is None else (sides[0] - sides[1]) / whole
        values[f"alps_{version}_asymmetry"] = difference
    if all(values[f"alps_template_{hemisphere}"] is None for hemisphere in HEMISPHERES):
        raise BadInput("; ".join(stop.reason for stop in stops), cure=LOOK)
    values["alps_native_template_difference"] = _difference(values)
    return checked(values | _pose(affine, rotation)), weights, stops


def _faults(pair: dict[str, Measured], rotation, limits: Limits) -> list[tuple[str, str]]:
    """(tract, why) of the regions of a hemisphere that give no index."""
    axes = axis_versions.template(rotation)
    found = [(t, _fault(roi, axes[:, EXPECTED_AXIS[t]], limits)) for t, roi in pair.items()]
    return [(tract, why) for tract, why in found if why]


def _fault(roi: Measured, axis: np.ndarray, limits: Limits) -> str:
    """Why a region gives no index; "" where it does. ``axis``: of its tract, in world axes."""
    if roi.voxels <= 0 or roi.coverage < limits.coverage:
        return f"has {roi.coverage:.0%} of its volume in usable voxels"
    if roi.fa < limits.fa:
        return f"has an FA of {roi.fa:.2f}, which is no white matter"
    if _angle(roi.v1, axis) > limits.angle:
        return f"lies {_angle(roi.v1, axis):.0f} degrees off its tract's direction"
    return ""


def _hemisphere(side, pair, usable, affine, rotation, reported_axes) -> dict:
    values: dict[str, float | None] = {}
    versions = _axes_of(pair, affine, rotation) if usable else {}
    turned = {
        version: {t: axes[t].T @ pair[t].tensor @ axes[t] for t in TRACTS}
        for version, axes in versions.items()
    }
    for version in axis_versions.AXES:
        tensors = turned.get(version)
        values[f"alps_{version}_{side}"] = (
            alps(tensors["projection"], tensors["association"]) if tensors else None
        )
    for tract in TRACTS:
        roi, stem = pair[tract], f"alps_{side}_{tract}"
        reported = turned[reported_axes][tract] if usable else None
        for k, name in enumerate(("dxx", "dyy", "dzz")):
            values[f"{stem}_{name}"] = float(reported[k, k]) if usable else None
        expected = axis_versions.template(rotation)[:, EXPECTED_AXIS[tract]]
        values |= {
            f"{stem}_fa": roi.fa,
            f"{stem}_md": roi.md,
            f"{stem}_voxels": roi.voxels,
            f"{stem}_coverage": roi.coverage,
            f"{stem}_v1_angle": None if roi.v1 is None else _angle(roi.v1, expected),
        }
        below = axis_versions.template(rotation)[:, DENOMINATOR_AXIS[tract]]
        known = dict.fromkeys(SHAPE) if roi.tensor is None else shape(roi.tensor, below)
        values |= {f"{stem}_{name}": value for name, value in known.items()}
    return values


def shape(tensor: np.ndarray, along: np.ndarray) -> dict[str, float]:
    """What a mean ``tensor`` (3, 3) is like beside its FA, and what the index makes of it.

    ``l2_l3``: middle over smallest eigenvalue, 1 where diffusion across the fibre is the same in
    all directions; ``mode``: of anisotropy, from -1 (planar) to 1 (linear; Ennis and Kindlmann
    2006, 10.1002/mrm.20741); ``l1_share``: share of the diffusivity along the unit vector ``along``
    (same axes as the tensor), the region's part of the index's denominator, that is diffusion along
    the fibre.
    """
    sizes, directions = np.linalg.eigh(tensor)
    rest = tensor - np.trace(tensor) / 3 * np.eye(3)
    length = np.linalg.norm(rest)
    along_fibre = sizes[2] * float(directions[:, 2] @ along) ** 2
    return {
        "l2_l3": float(sizes[1] / sizes[0]) if sizes[0] > 0 else None,
        "mode": float(3 * np.sqrt(6) * np.linalg.det(rest / length)) if length > 0 else None,
        "l1_share": float(along_fibre / (along @ tensor @ along)),
    }


def _axes_of(pair, affine, rotation) -> dict[str, dict[str, np.ndarray]]:
    grid, template = axis_versions.native(affine), axis_versions.template(rotation)
    own = axis_versions.principal(pair["projection"].v1, pair["association"].v1, rotation)
    return {
        "native": dict.fromkeys(TRACTS, grid),
        "template": dict.fromkeys(TRACTS, template),
        "principal": dict(zip(TRACTS, own, strict=True)),
    }


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    """Angle in degrees between two axes (sign ignored)."""
    return float(np.degrees(np.arccos(np.clip(abs(first @ second), 0, 1))))


def _difference(values: dict) -> float | None:
    pair = values["alps_native_mean"], values["alps_template_mean"]
    return None if None in pair else pair[0] - pair[1]


def _pose(affine: np.ndarray, rotation: np.ndarray) -> dict[str, float]:
    """How the head lies in the scanner and how the grid lies against the template."""
    head = head_angles(rotation.T)
    grid = head_angles(rotation @ nearest_anatomical_axes(affine))
    return {
        "head_pitch": head["pitch"],
        "head_roll": head["roll"],
        "head_yaw": head["yaw"],
        "grid_tilt": grid["angle"],
    }
