"""The two ALPS tracts of each hemisphere: where they lie in MNI space, and their tensors there.

`Uniform` tracts are blocks of one tensor each. Whatever place within them a region takes, it reads
the truth: with them axes and orientation are tested, and not placement. `Curved` tracts have the
widths of real ones, fan, bend and end beside other fibres, and lie where the subject has them: a
region out of place reads another index.
"""

from dataclasses import dataclass

import numpy as np

from . import fibres
from .spec import SubjectSpec

SIDES = {"right": 1.0, "left": -1.0}
# ROI centres of the study in MNI mm.
ROI_CENTRES = {
    ("projection", "right"): (24.0, -12.0, 24.0),
    ("projection", "left"): (-28.0, -12.0, 24.0),
    ("association", "right"): (36.0, -12.0, 24.0),
    ("association", "left"): (-40.0, -12.0, 24.0),
}
REGION_MM = 5.0

BORDER = {"right": 30.0, "left": 34.0}
TRACT_Y, TRACT_Z = (-30.0, 8.0), (10.0, 38.0)
INNER, OUTER = 18.0, 46.0
CORE_MM = 6.5

SIDE_SHIFT_MM, TRACT_SHIFT_MM = 1.5, 0.7
HALF_WIDTH = {"projection": (5.5, 18.0, 14.0), "association": (5.0, 19.0, 7.0)}
EDGE_MM = 2.0
# Degrees by which the fibres turn per mm from the centre of the tract: (axis turned about, along).
FANS = {
    "projection": {("y", "x"): 2.5, ("x", "y"): -0.8},
    "association": {("z", "y"): 0.7, ("x", "y"): 1.2, ("x", "z"): 1.0},
}
CROSSING_FROM_MM, CROSSING_FULL_MM, CROSSING_SHARE = 3.0, 9.0, 0.5


def of_subject(spec: SubjectSpec):
    """The tracts of a subject, of the kind that ``spec.tracts`` names."""
    tensors = fibres.draw_tract_tensors(spec)
    if spec.tracts == "uniform":
        return Uniform(tensors)
    return Curved(tensors, _draw_centres(spec))


def _draw_centres(spec: SubjectSpec) -> dict:
    """(tract, side) -> MNI mm: about the ROI centre; what two tracts of a side share is larger."""
    rng = spec.rng("tracts")
    centres = {}
    for side in SIDES:
        common = SIDE_SHIFT_MM * np.clip(rng.standard_normal(3), -2, 2)
        for tract in HALF_WIDTH:
            own = np.array([TRACT_SHIFT_MM * np.clip(rng.standard_normal(), -2, 2), 0, 0])
            centres[tract, side] = np.array(ROI_CENTRES[tract, side]) + common + own
    return centres


@dataclass(frozen=True)
class Uniform:
    """Blocks of one tensor each. tensors: (tract, side) -> (Dxx, Dyy, Dzz) in mm2/s."""

    tensors: dict

    @property
    def centres(self) -> dict:
        """(tract, side) -> MNI mm."""
        return {key: np.array(place) for key, place in ROI_CENTRES.items()}

    def masks(self, mni: np.ndarray) -> dict:
        """(tract, side) -> bool (n,) of the MNI points (n, 3) inside that tract."""
        x, y, z = mni.T
        slab = (y > TRACT_Y[0]) & (y < TRACT_Y[1]) & (z > TRACT_Z[0]) & (z < TRACT_Z[1])
        masks = {}
        for side, sign in SIDES.items():
            out = sign * x
            masks["projection", side] = slab & (out >= INNER) & (out < BORDER[side])
            masks["association", side] = slab & (out >= BORDER[side]) & (out < OUTER)
        return masks

    def inside(self, mni: np.ndarray) -> np.ndarray:
        """Bool (n,): MNI points (n, 3) in a tract, where grey matter counts as white."""
        return np.any(list(self.masks(mni).values()), axis=0)

    def core(self, mni: np.ndarray) -> np.ndarray:
        """Bool (n,): MNI points (n, 3) that are white matter and nothing else."""
        away = np.abs(mni[:, None] - np.float32(list(ROI_CENTRES.values()))).max(2)
        return (away <= CORE_MM).any(1)

    def put_into(self, tensors: np.ndarray, mni: np.ndarray) -> np.ndarray:
        """Tensors (n, 6) at MNI points (n, 3), those of the tracts put in their place."""
        for key, mask in self.masks(mni).items():
            tensors[mask] = 0
            tensors[np.ix_(mask, [0, 3, 5])] = self.tensors[key]
        return tensors


@dataclass(frozen=True)
class Curved:
    """Tracts that fan and bend, cross with callosal fibres above, and have soft edges.

    tensors: (tract, side) -> (Dxx, Dyy, Dzz) in mm2/s at the tract's centre, exactly. centres:
    (tract, side) -> MNI mm. The projection is a sheet, 11 mm thick, whose fibres lean outwards by
    2.5 degrees per mm; the association a tube, 10 mm wide and 14 mm high, that bends downwards
    at its ends. Tensors of one voxel are averaged: crossing fibres look planar, as in real tensors.
    """

    tensors: dict
    centres: dict

    def inside(self, mni: np.ndarray) -> np.ndarray:
        """Bool (n,): MNI points (n, 3) in a tract, where grey matter counts as white."""
        return np.any([self._share(mni, *key) > 0.5 for key in self.centres], axis=0)

    def core(self, mni: np.ndarray) -> np.ndarray:
        """Bool (n,): MNI points (n, 3) that are white matter and nothing else."""
        return np.any([self._share(mni, *key) > 0.999 for key in self.centres], axis=0)

    def put_into(self, tensors: np.ndarray, mni: np.ndarray) -> np.ndarray:
        """Tensors (n, 6) at MNI points (n, 3), those of the tracts mixed in by their share."""
        for key in self.centres:
            share = self._share(mni, *key)
            touched = np.flatnonzero(share)
            within = share[touched, None]
            own = self._tensors_at(mni[touched], *key)
            tensors[touched] = within * own + (1 - within) * tensors[touched]
        return tensors

    def _share(self, mni, tract: str, side: str) -> np.ndarray:
        away = np.abs(mni - self.centres[tract, side])
        steps = [
            _fall(away[:, axis], half - EDGE_MM / 2, half + EDGE_MM / 2)
            for axis, half in enumerate(HALF_WIDTH[tract])
        ]
        return np.prod(steps, axis=0)

    def _tensors_at(self, mni, tract: str, side: str) -> np.ndarray:
        """Tensors (n, 6) of a tract's own fibres, with those that cross it above its centre."""
        outwards = np.array([SIDES[side], 1.0, 1.0])
        offset = (mni - self.centres[tract, side]) * outwards
        turn = np.broadcast_to(np.eye(3), (len(mni), 3, 3))
        for (about, along), rate in FANS[tract].items():
            turn = _rotations("xyz".index(about), rate * offset[:, "xyz".index(along)]) @ turn
        own = turn @ np.diag(self.tensors[tract, side]) @ turn.transpose(0, 2, 1)
        above = 1 - _fall(offset[:, 2], CROSSING_FROM_MM, CROSSING_FULL_MM)
        across = np.diag([fibres.OTHER_PARALLEL, fibres.OTHER_ACROSS, fibres.OTHER_ACROSS])
        crossing = CROSSING_SHARE * above[:, None, None]
        mixed = (1 - crossing) * own + crossing * across
        mirrored = mixed * outwards[:, None] * outwards
        return mirrored[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]


def _fall(values: np.ndarray, start: float, end: float) -> np.ndarray:
    """1 up to ``start``, 0 from ``end``, a smooth step (3t2 - 2t3) between."""
    t = np.clip((end - values) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def _rotations(axis: int, degrees: np.ndarray) -> np.ndarray:
    """Rotation matrices (n, 3, 3) about one axis."""
    turns = np.zeros((len(degrees), 3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turns[:, axis, axis] = 1
    turns[:, a, a], turns[:, a, b], turns[:, b, a], turns[:, b, b] = c, -s, s, c
    return turns


def region_alps(tracts, centres: dict, step: int) -> dict[str, float]:
    """side -> ALPS of the mean tensors of 5 mm spheres about ``centres`` ((tract, side) -> MNI mm).

    That is what a region at that place holds, in the head's own axes and without noise.
    """
    axis = np.arange(-REGION_MM / 2, REGION_MM / 2 + 0.25, 0.5)
    ball = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    ball = ball[np.linalg.norm(ball, axis=1) <= REGION_MM / 2]
    found = {}
    for key, centre in centres.items():
        mean = fibres.white_matter_tensors(ball + centre, tracts, step).mean(axis=0)
        found[key] = mean[[0, 3, 5]]
    return {side: float(fibres.alps_index(found, side)) for side in SIDES}
