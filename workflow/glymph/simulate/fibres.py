"""White-matter diffusion tensors in the head's anatomical axes, with a known ALPS per hemisphere.

Two tracts per hemisphere hold a known tensor each; their shape is that of `tracts`. Elsewhere
tensors follow the fibre courses of `courses`.
"""

import numpy as np

from .courses import STEP, dyadic_field
from .spec import SubjectSpec
from .template import ORIGIN

# Along and across the fibres of the ALPS tracts, mm2/s. Their ratio gives the loss by head pitch
# that the specification predicts: a true 1.50 read as 1.304 at 15 degrees.
PARALLEL = 1.5e-3
ACROSS = 0.46e-3
OTHER_PARALLEL, OTHER_ACROSS = 1.6e-3, 0.42e-3
UNEVEN, WAVE_MM = 0.15, (70.0, 95.0, 80.0)
"""By how much of itself diffusivity differs over the white matter outside the tracts, and over
which lengths: in a real head MD of the skeleton spreads by 0.2e-3 mm2/s (docs/validation.md)."""


def alps_index(tensors: dict, side: str) -> float:
    """ALPS of one side from its two diagonal tensors: across-fibre x over across-fibre y and z."""
    projection, association = tensors["projection", side], tensors["association", side]
    return (projection[0] + association[0]) / (projection[1] + association[2])


def draw_tract_tensors(spec: SubjectSpec) -> dict:
    """(tract, side) -> (Dxx, Dyy, Dzz) in mm2/s, whose ALPS is exactly the subject's."""
    rng = spec.rng("diffusivity")
    tensors = {}
    for side, alps in (("left", spec.alps_left), ("right", spec.alps_right)):
        across_y, across_z = ACROSS * (1 + 0.05 * np.clip(rng.standard_normal(2), -2, 2))
        total_x = alps * (across_y + across_z)
        share = 0.5 + 0.02 * np.clip(rng.standard_normal(), -2, 2)
        along = PARALLEL * (1 + 0.02 * np.clip(rng.standard_normal(2), -2, 2))
        tensors["projection", side] = (total_x * share, across_y, along[0])
        tensors["association", side] = (total_x * (1 - share), along[1], across_z)
    return tensors


def white_matter_tensors(mni: np.ndarray, tracts, step: int) -> np.ndarray:
    """Tensors (n, 6) as xx, xy, xz, yy, yz, zz in mm2/s at MNI points (n, 3), anatomical axes.

    tracts: `tracts.Uniform` or `tracts.Curved`. step: that of the template in use, 1 or 2 mm.
    """
    field = dyadic_field(step)
    index = np.round((mni - ORIGIN) / STEP).astype(int)
    index = np.clip(index, 0, np.array(field.shape[:3]) - 1)
    tensors = (OTHER_PARALLEL - OTHER_ACROSS) * field[tuple(index.T)]
    tensors[:, [0, 3, 5]] += OTHER_ACROSS
    return tracts.put_into(tensors * _unevenness(mni)[:, None].astype(tensors.dtype), mni)


def _unevenness(mni: np.ndarray) -> np.ndarray:
    """Factor (n,) of all diffusivities at MNI points (n, 3); symmetric, so that sides compare."""
    x, y, z = (np.cos(2 * np.pi * axis / wave) for axis, wave in zip(mni.T, WAVE_MM, strict=True))
    return 1 + UNEVEN * (x + y + z) / np.sqrt(3)
