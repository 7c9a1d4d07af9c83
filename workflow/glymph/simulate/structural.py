"""T1w, T2w and FLAIR images of a subject's head."""

import numpy as np

from .anatomy import Anatomy
from .epvs import paint
from .space import Grid, apply, on_grid
from .spec import SubjectSpec

# Signal of each tissue; bone and air have none.
CONTRASTS = {
    "T1w": {"wm": 1000, "gm": 690, "csf": 250, "fat": 1150, "muscle": 470, "eye": 260},
    "T2w": {"wm": 430, "gm": 580, "csf": 1350, "fat": 780, "muscle": 260, "eye": 1400},
    "FLAIR": {"wm": 450, "gm": 590, "csf": 90, "fat": 700, "muscle": 350, "eye": 100},
}
BIAS = {"T1w": 0.16, "T2w": 0.14, "FLAIR": 0.14, "dwi": 0.05}


def mni_on_grid(anatomy: Anatomy, grid: Grid, pose: np.ndarray) -> np.ndarray:
    """MNI mm (3, *grid.shape) of each voxel; pose: 4 x 4 head to scanner."""
    to_head = np.linalg.inv(pose)
    return on_grid(lambda points: anatomy.to_mni(apply(to_head, points)), grid)


def bias_field(spec: SubjectSpec, name: str, grid: Grid) -> np.ndarray:
    """Smooth multiplicative field (grid.shape) about 1, of low spatial frequency."""
    rng = spec.rng(f"bias:{name}")
    decay = np.add.outer(np.add.outer(np.arange(4), np.arange(4)), np.arange(4))
    weights = rng.standard_normal((4, 4, 4)) / (1 + decay) ** 1.5
    weights[0, 0, 0] = 0
    cosines = [np.cos(np.pi * np.outer(np.arange(4), np.arange(n) + 0.5) / n) for n in grid.shape]
    field = np.einsum("ijk,ix,jy,kz->xyz", weights, *cosines, optimize=True)
    return np.exp(BIAS[name] * field / field.std()).astype(np.float32)


def rician(signal: np.ndarray, sigma: float, rng) -> np.ndarray:
    """Magnitude of the signal with complex Gaussian noise of standard deviation sigma."""
    real = signal + sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.hypot(real, sigma * rng.standard_normal(signal.shape, dtype=np.float32))


def render(spec: SubjectSpec, name: str, anatomy, grid: Grid, pose, mni, tubes) -> np.ndarray:
    """int16 image (grid.shape) of one contrast. mni: (3, *grid.shape) from `mni_on_grid`."""
    contrast = CONTRASTS[name]
    atlas = sum(value * anatomy.fractions[tissue] for tissue, value in contrast.items())
    image = anatomy.sample(atlas, mni)
    share = paint(tubes, grid, pose)
    image += share * (contrast["csf"] - image)
    snr = spec.scan.snr_anat
    if snr is not None:
        image *= bias_field(spec, name, grid)
        image = rician(image, contrast["wm"] / snr, spec.rng(f"noise:{name}"))
    return np.round(image).astype(np.int16)
