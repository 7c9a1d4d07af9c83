"""A subject's own anatomy: a smooth invertible map from head to MNI space, and tissue maps.

Images are drawn backwards: each voxel asks where in MNI space it lies and takes what is there.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .spec import SubjectSpec
from .template import BRAIN, ORIGIN, SHARPNESS, Template, load_template

FIELD_LOW = np.array([-108.0, -148.0, -164.0])
FIELD_STEP = 4.0
FIELD_SHAPE = (55, 70, 70)
SMOOTH_MM = 13.0
VENTRICLE_MM = 3.0
STEEPEST = 0.65


@dataclass(frozen=True)
class Anatomy:
    """One subject's head.

    scale: (3,) size against the template. displacement: (3, *FIELD_SHAPE) mm on a coarse lattice
    in the head frame. template: the maps sampled. fractions: tissue -> (x, y, z) on the template's
    grid, with this subject's sulci.
    """

    scale: np.ndarray
    displacement: np.ndarray
    template: Template
    fractions: dict

    def to_mni(self, head: np.ndarray) -> np.ndarray:
        """Head mm (n, 3) to MNI mm (n, 3): head / scale + displacement(head)."""
        return head / self.scale + self._shift(head)

    def from_mni(self, mni: np.ndarray) -> np.ndarray:
        """MNI mm (n, 3) to head mm (n, 3), by fixed-point iteration to 1e-4 mm.

        Raises RuntimeError if the iteration does not settle.
        """
        mni = np.asarray(mni, float)
        head = mni * self.scale
        for _ in range(100):
            new = (mni - self._shift(head)) * self.scale
            if np.abs(new - head).max() < 1e-4:
                return new
            head = new
        raise RuntimeError("the deformation is too steep to be inverted")

    def _shift(self, head: np.ndarray) -> np.ndarray:
        index = ((head - FIELD_LOW) / FIELD_STEP).T
        shifts = [
            ndimage.map_coordinates(part, index, order=1, mode="nearest")
            for part in self.displacement
        ]
        return np.stack(shifts, axis=-1)

    def sample(self, values: np.ndarray, mni: np.ndarray) -> np.ndarray:
        """A map on the template's grid at MNI mm of shape (3, ...); 0 outside."""
        origin = ORIGIN.astype(np.float32).reshape(-1, *[1] * (mni.ndim - 1))
        index = (mni - origin) / np.float32(self.template.step)
        return ndimage.map_coordinates(values, index, order=1, output=np.float32)


def make_anatomy(spec: SubjectSpec) -> Anatomy:
    """Draw a subject's anatomy: its size, deformation, ventricles, scalp and sulci."""
    template = load_template(spec.scan.atlas_mm)
    rng = spec.rng("anatomy")
    drawn = 0.92 + 0.02 * rng.standard_normal() + 0.015 * rng.standard_normal(3)
    scale = np.array(drawn if spec.scale is None else spec.scale, float)
    lattice = np.stack(
        np.meshgrid(
            *[FIELD_LOW[k] + FIELD_STEP * np.arange(FIELD_SHAPE[k]) for k in range(3)],
            indexing="ij",
        )
    )
    about_mni = lattice / scale[:, None, None, None]
    field = _random_field(spec.deformation_mm, about_mni, template, rng)
    field += _ventricle_field(spec.atrophy, about_mni, template)
    field += _scalp_field(1.2 * np.clip(rng.standard_normal(), -2, 2), about_mni, template)
    field *= min(1.0, STEEPEST / _steepness(field))
    return Anatomy(scale, field.astype(np.float32), template, _tissues(template, spec.atrophy))


def _at(values: np.ndarray, mni: np.ndarray, step: float, mode="nearest") -> np.ndarray:
    return ndimage.map_coordinates(
        values, (mni - ORIGIN[:, None, None, None]) / step, order=1, mode=mode
    )


def _random_field(rms_mm, mni, template, rng) -> np.ndarray:
    """Smooth random displacement with no linear part over the brain.

    Without its linear part the head's turn against MNI is the pose alone.
    """
    noise = rng.standard_normal((3, *FIELD_SHAPE))
    field = np.stack([ndimage.gaussian_filter(part, SMOOTH_MM / FIELD_STEP) for part in noise])
    brain = _at(template.distance, mni, 2.0) < 0
    design = np.column_stack([np.ones(brain.sum()), mni[:, brain].T])
    for part in field:
        linear = np.linalg.lstsq(design, part[brain], rcond=None)[0]
        part -= linear[0] + np.tensordot(linear[1:], mni, 1)
        part *= rms_mm / part[brain].std()
    return field * _fade(template, mni)


def _fade(template, mni) -> np.ndarray:
    """1 in the brain, 0 from 40 mm outside, where removing the linear part would run away."""
    return np.clip(1 - _at(template.distance, mni, 2.0) / 40, 0, 1)


def _ventricle_field(atrophy, mni, template) -> np.ndarray:
    """Displacement towards the ventricles, which widens them: more of the head maps into them."""
    step = template.step
    deep = template.fractions["csf"][:: 2 // step, :: 2 // step, :: 2 // step].copy()
    deep[template.distance > -22] = 0
    pull = np.stack(np.gradient(ndimage.gaussian_filter(deep, 3.5)))
    pull *= atrophy * VENTRICLE_MM / np.linalg.norm(pull, axis=0).max()
    return np.stack([_at(part, mni, 2.0) for part in pull])


def _scalp_field(thicker_mm, mni, template) -> np.ndarray:
    """Displacement along the way out of the brain, growing over the skull and scalp."""
    away = np.stack([_at(part, mni, 2.0) for part in np.gradient(template.distance, 2.0)])
    depth = _at(template.distance, mni, 2.0)
    return -thicker_mm * away * np.clip(depth / 15, 0, 1) * np.clip(2 - depth / 20, 0, 1)


def _steepness(field) -> float:
    """Largest slope of any component: below 1 the map can be inverted."""
    slopes = [np.gradient(part, FIELD_STEP) for part in field]
    return float(np.sqrt(sum(np.square(s) for part in slopes for s in part)).max())


def _tissues(template: Template, atrophy: float) -> dict:
    """Tissue shares, made crisper than the template's averages, with sulci widened by atrophy."""
    inside = template.hull
    weight = {"gm": 1.0, "wm": 1.0, "csf": 1.0 + 1.5 * atrophy}
    shares = {k: weight[k] * template.fractions[k][inside] ** SHARPNESS for k in BRAIN}
    total = np.maximum(sum(shares.values()), 1e-6)
    full = sum(template.fractions[k][inside] for k in BRAIN)
    fractions = dict(template.fractions)
    for name in BRAIN:
        fractions[name] = template.fractions[name].copy()
        fractions[name][inside] = shares[name] / total * full
    return fractions
