"""T1w and T2w of a block of tissue: random contrasts, acquisition, and intensities in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from glymph.train.anatomy import Tissues, smooth_noise


@dataclass(frozen=True)
class Acquisition:
    """How a pair of images is taken. Lengths in mm, noise as a share of the tissue range.

    ``contrast`` scales how far a perivascular space stands out against CSF itself; ``slice_mm`` is
    the T2w's slice thickness (its slices lie along ``slice_axis``), ``shift_mm`` the error of the
    T2w's alignment; ``t2w`` False leaves the T2w out.
    """

    noise_t1w: float
    noise_t2w: float
    blur_mm: float
    blur_t2w_mm: float
    contrast: float
    slice_mm: float
    slice_axis: int
    shift_mm: float
    t2w: bool = True


RANGES = {
    "noise": (0.005, 0.16),
    "blur_mm": (0.2, 0.9),
    "contrast": (0.5, 1.0),
    "slice_mm": (1.0, 5.0),
    "shift_mm": (0.0, 1.0),
}
"""What training draws from; a test setting outside these is outside the trained range."""


def draw_acquisition(rng: np.random.Generator, t1w_only: float = 0.15) -> Acquisition:
    """Draw an acquisition inside `RANGES`; a share ``t1w_only`` has no T2w."""
    low, high = RANGES["noise"]
    noise = low + (high - low) * rng.random(2) ** 1.5  # half the scans in the lowest third
    thick = rng.random() < 0.3
    return Acquisition(
        noise_t1w=float(noise[0]),
        noise_t2w=float(noise[1]),
        blur_mm=float(rng.uniform(*RANGES["blur_mm"])),
        blur_t2w_mm=float(rng.uniform(*RANGES["blur_mm"])),
        contrast=float(rng.uniform(*RANGES["contrast"])),
        slice_mm=float(rng.uniform(2, RANGES["slice_mm"][1])) if thick else 1.0,
        slice_axis=2 if rng.random() < 0.85 else int(rng.integers(2)),
        shift_mm=float(np.clip(abs(rng.normal(0, 0.4)), *RANGES["shift_mm"])),
        t2w=bool(rng.random() > t1w_only),
    )


ORDINARY = Acquisition(0.04, 0.04, 0.4, 0.4, 0.85, 1.0, 2, 0.2)
"""A usual research scan, inside `RANGES`."""


def outside(name: str) -> Acquisition:
    """`ORDINARY` with one property beyond the trained range."""
    changes = {
        "noise": {"noise_t1w": 0.18, "noise_t2w": 0.18},
        "blur": {"blur_mm": 0.95, "blur_t2w_mm": 0.95},
        "contrast": {"contrast": 0.45},
        "slices": {"slice_mm": 6.0},
        "shift": {"shift_mm": 1.2},
    }
    return replace(ORDINARY, **changes[name])


@dataclass(frozen=True)
class Contents:
    """What is drawn into the tissue: arrays (x, y, z), shares from 0 to 1."""

    tubes: np.ndarray
    lesions: np.ndarray
    lacunes: np.ndarray
    rims: np.ndarray
    lines: np.ndarray


def render_pair(rng, tissues: Tissues, contents: Contents, taken: Acquisition) -> np.ndarray:
    """T1w and T2w (2, x, y, z) float32 in [-1, 1], by robust percentiles as the workflow has them.

    Without a T2w its channel is -1 throughout. What lies outside the brain is -1.
    """
    t1w = _signal(rng, tissues, contents, taken.contrast, levels_t1w(rng), inverse=True)
    t1w = acquire(rng, t1w, taken.blur_mm / tissues.voxel_mm, taken.noise_t1w)
    pair = [_scaled(rng, t1w, tissues)]
    if taken.t2w:
        t2w = _signal(rng, tissues, contents, taken.contrast, levels_t2w(rng), inverse=False)
        t2w = _thick(t2w, taken.slice_mm / tissues.voxel_mm, taken.slice_axis, rng)
        if taken.shift_mm:
            direction = rng.standard_normal(3)
            direction *= taken.shift_mm / tissues.voxel_mm / np.linalg.norm(direction)
            t2w = ndimage.shift(t2w, direction, order=1, mode="nearest")
        t2w = acquire(rng, t2w, taken.blur_t2w_mm / tissues.voxel_mm, taken.noise_t2w)
        pair.append(_scaled(rng, t2w, tissues))
    else:
        pair.append(np.full_like(t1w, -1))
    return np.stack(pair).astype(np.float32)


def levels_t1w(rng) -> dict[str, float]:
    """Signals of the tissues, white matter 1."""
    gm = rng.uniform(0.58, 0.84)
    return {"wm": 1.0, "gm": gm, "csf": rng.uniform(0.08, 0.42), "lesion": rng.uniform(0.45, 0.85)}


def any_levels(rng) -> dict[str, float]:
    """Signals of no contrast in particular, for a network that should not lean on one."""
    return dict(zip(("wm", "gm", "csf"), rng.uniform(0.1, 1.1, 3), strict=True))


def levels_t2w(rng) -> dict[str, float]:
    """Signals of the tissues, CSF 1."""
    wm = rng.uniform(0.18, 0.5)
    gm = wm + rng.uniform(0.03, 0.22)
    return {"wm": wm, "gm": gm, "csf": 1.0, "lesion": rng.uniform(gm, 0.85)}


def _signal(rng, tissues, contents: Contents, contrast, level, inverse: bool) -> np.ndarray:
    """The noiseless image; CSF's signal is 0 outside the brain, as a brain mask leaves it."""
    shape = tissues.gm.shape
    texture = 1 + rng.uniform(0.0, 0.05) * smooth_noise(rng, shape, 5.0 / tissues.voxel_mm)
    fine = 1 + rng.uniform(0.0, 0.03) * smooth_noise(rng, shape, 1.2)
    image = level["wm"] * tissues.wm + level["gm"] * tissues.gm * texture
    image = image * fine
    image += contents.lesions * tissues.tissue * (level["lesion"] - image)
    image += 0.8 * contents.rims * tissues.tissue * (level["lesion"] - image)
    image += level["csf"] * tissues.csf
    image += contents.lacunes * (level["csf"] - image)
    image += contrast * contents.tubes * (level["csf"] - image)
    if not inverse:
        image *= 1 - 0.6 * contents.lines
    bias = np.exp(rng.uniform(0, 0.08) * smooth_noise(rng, shape, 30.0 / tissues.voxel_mm))
    return (image * bias).astype(np.float32)


def _thick(image: np.ndarray, slices: float, axis: int, rng) -> np.ndarray:
    """``image`` as slices of ``slices`` voxels show it, brought back to its grid by splines."""
    if slices <= 1.2:
        return image
    blurred = ndimage.gaussian_filter1d(image, slices / 2.355, axis=axis)
    size = image.shape[axis]
    places = np.arange(rng.uniform(0, slices), size, slices)
    if len(places) < 2:
        return blurred
    taken = np.take(blurred, np.round(places).astype(int).clip(0, size - 1), axis=axis)
    index = [np.arange(n, dtype=np.float32) for n in image.shape]
    index[axis] = np.clip((np.arange(size) - places[0]) / slices, 0, len(places) - 1)
    grid = np.stack(np.meshgrid(*index, indexing="ij")).astype(np.float32)
    return ndimage.map_coordinates(taken, grid, order=int(rng.choice([1, 3])), mode="nearest")


def acquire(rng, image: np.ndarray, blur: float, noise: float) -> np.ndarray:
    """Blur (voxels), then Rician noise, a part of which is smooth as resampled noise is."""
    image = ndimage.gaussian_filter(image, blur)
    grain = rng.uniform(0.0, 0.8)
    real, imaginary = (smooth_or_white(rng, image.shape, grain) for _ in range(2))
    return np.hypot(image + noise * real, noise * imaginary)


def smooth_or_white(rng, shape, grain: float) -> np.ndarray:
    if grain < 0.3:
        return rng.standard_normal(shape, dtype=np.float32)
    return smooth_noise(rng, shape, grain)


def _scaled(rng, image: np.ndarray, tissues: Tissues) -> np.ndarray:
    """[-1, 1] between the brain's 1st and 99th percentile, with the spread that masks give."""
    brain = tissues.hull > 0.5
    if brain.sum() < 100:
        return np.full_like(image, -1)
    low, high = np.percentile(image[brain][::7], (1, 99))
    span = high - low
    low += rng.uniform(-0.1, 0.06) * span
    high += rng.uniform(-0.12, 0.15) * span
    scaled = np.clip(2 * (image - low) / (high - low) - 1, -1, 1)
    return np.where(brain, scaled, -1)
