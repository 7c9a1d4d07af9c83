"""T1w and T2w of a block of tissue: random contrasts, acquisition, and intensities in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, ndimage

from glymph.train.anatomy import Tissues, smooth_noise


@dataclass(frozen=True)
class Acquisition:
    """How a pair of images is taken. Lengths in mm, noise as a share of the tissue range.

    ``contrast`` scales how far a perivascular space stands out against CSF itself; ``slice_mm`` is
    the T2w's slice thickness (its slices lie along ``slice_axis``), ``shift_mm`` the error of the
    T2w's alignment; ``t2w`` False leaves the T2w out. ``kept`` is the share of k-space along each
    axis that was measured (the rest filled with zeros), ``t2w_contrast`` scales ``contrast`` in the
    T2w, ``white_texture`` is how far white matter is from one level.
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
    kept: tuple[float, float, float] = (1.0, 1.0, 1.0)
    t2w_contrast: float = 1.0
    white_texture: float = 0.0


RANGES = {
    "noise": (0.005, 0.16),
    "blur_mm": (0.2, 0.9),
    "contrast": (0.5, 1.0),
    "slice_mm": (1.0, 5.0),
    "shift_mm": (0.0, 1.0),
    "kept": (0.55, 1.0),
    "t2w_contrast": (0.6, 1.1),
    "white_texture": (0.0, 0.04),
}
"""What training draws from; a test setting outside these is outside the trained range."""


def draw_acquisition(rng: np.random.Generator, t1w_only: float = 0.15) -> Acquisition:
    """Draw an acquisition inside `RANGES`; a share ``t1w_only`` has no T2w."""
    low, high = np.log(RANGES["noise"])
    noise = np.exp(rng.uniform(low, high, 2))  # as many scans from 1 to 2 % as from 8 to 16 %
    blur = rng.uniform(*RANGES["blur_mm"], 2)
    if rng.random() < 0.5:  # of one scanner and protocol: alike in both
        blur[1] = np.clip(blur[0] * np.exp(0.1 * rng.standard_normal()), *RANGES["blur_mm"])
    thick = rng.random() < 0.3
    filled = rng.random() < 0.35
    return Acquisition(
        noise_t1w=float(noise[0]),
        noise_t2w=float(noise[1]),
        blur_mm=float(blur[0]),
        blur_t2w_mm=float(blur[1]),
        contrast=float(rng.uniform(*RANGES["contrast"])),
        slice_mm=float(rng.uniform(2, RANGES["slice_mm"][1])) if thick else 1.0,
        slice_axis=2 if rng.random() < 0.85 else int(rng.integers(2)),
        shift_mm=float(np.clip(abs(rng.normal(0, 0.4)), *RANGES["shift_mm"])),
        t2w=bool(rng.random() > t1w_only),
        kept=tuple(rng.uniform(*RANGES["kept"], 3)) if filled else (1.0, 1.0, 1.0),
        t2w_contrast=float(rng.uniform(*RANGES["t2w_contrast"])),
        white_texture=float(rng.uniform(*RANGES["white_texture"])),
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
    """What is drawn into the tissue: arrays (x, y, z), shares from 0 to 1.

    ``numbers`` says which perivascular space a voxel belongs to, 0 for none; ``iron`` is where T2w
    is dark for the iron in pallidum, substantia nigra and red nucleus.
    """

    tubes: np.ndarray
    numbers: np.ndarray
    lesions: np.ndarray
    lacunes: np.ndarray
    rims: np.ndarray
    lines: np.ndarray
    iron: np.ndarray


FINE_TEXTURE = 0.015
"""What hides a faint space beside noise, as a share of the tissue range: tissue is not of one
level from voxel to voxel."""


def render_pair(rng, tissues: Tissues, contents: Contents, taken: Acquisition):
    """(images, clearness) of what ``taken`` shows of the tissue.

    Images: T1w and T2w (2, x, y, z) float32 in [-1, 1], by robust percentiles as the workflow has
    them; without a T2w its channel is -1 throughout. What lies outside the brain is -1. Clearness
    (x, y, z): how many deviations of the noise a perivascular space stands out, both images
    together.
    """
    level = levels_t1w(rng)
    t1w = _signal(rng, tissues, contents, taken, level, inverse=True)
    blur = taken.blur_mm / tissues.voxel_mm
    pair = [_scaled(rng, acquire(rng, t1w, blur, taken.noise_t1w, taken.kept), tissues)]
    clear = _clearness(contents, taken.contrast * (1 - level["csf"]), blur, taken.noise_t1w)
    if not taken.t2w:
        return np.stack([*pair, np.full_like(pair[0], -1)]).astype(np.float32), clear
    level = levels_t2w(rng)
    t2w = _signal(rng, tissues, contents, taken, level, inverse=False)
    t2w = thick(t2w, taken.slice_mm / tissues.voxel_mm, taken.slice_axis, rng)
    if taken.shift_mm:
        direction = rng.standard_normal(3)
        direction *= taken.shift_mm / tissues.voxel_mm / np.linalg.norm(direction)
        t2w = ndimage.shift(t2w, direction, order=1, mode="nearest")
    blur = taken.blur_t2w_mm / tissues.voxel_mm
    pair.append(_scaled(rng, acquire(rng, t2w, blur, taken.noise_t2w, taken.kept), tissues))
    height = taken.contrast * taken.t2w_contrast * (1 - level["wm"]) / max(taken.slice_mm, 1.0)
    clear = np.hypot(clear, _clearness(contents, height, blur, taken.noise_t2w))
    return np.stack(pair).astype(np.float32), clear


def _clearness(contents: Contents, height: float, blur: float, noise: float) -> np.ndarray:
    """Contrast of the perivascular spaces, ``height`` where one fills a voxel, over the noise."""
    return height / np.hypot(noise, FINE_TEXTURE) * ndimage.gaussian_filter(contents.tubes, blur)


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


def _signal(rng, tissues, contents: Contents, taken, level, inverse: bool) -> np.ndarray:
    """The noiseless image; CSF's signal is 0 outside the brain, as a brain mask leaves it."""
    shape = tissues.gm.shape
    texture = 1 + rng.uniform(0.0, 0.05) * smooth_noise(rng, shape, 5.0 / tissues.voxel_mm)
    white = 1 + taken.white_texture * smooth_noise(rng, shape, 7.0 / tissues.voxel_mm)
    fine = 1 + rng.uniform(0.0, 0.03) * smooth_noise(rng, shape, 1.2)
    image = level["wm"] * tissues.wm * white + level["gm"] * tissues.gm * texture
    iron = rng.uniform(-0.05, 0.15) if inverse else rng.uniform(-0.5, 0.0)
    image = image * fine * (1 + iron * contents.iron)
    image += contents.lesions * tissues.tissue * (level["lesion"] - image)
    image += 0.8 * contents.rims * tissues.tissue * (level["lesion"] - image)
    image += level["csf"] * tissues.csf
    image += contents.lacunes * (level["csf"] - image)
    contrast = taken.contrast * (1.0 if inverse else taken.t2w_contrast)
    image += np.minimum(contrast * contents.tubes, 1) * (level["csf"] - image)
    if not inverse:
        image *= 1 - 0.6 * contents.lines
    bias = np.exp(rng.uniform(0, 0.08) * smooth_noise(rng, shape, 30.0 / tissues.voxel_mm))
    return (image * bias).astype(np.float32)


def thick(image: np.ndarray, slices: float, axis: int, rng) -> np.ndarray:
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


def acquire(rng, image: np.ndarray, blur: float, noise: float, kept=(1.0, 1.0, 1.0)) -> np.ndarray:
    """Blur (voxels), then Rician noise, a part of which is smooth as resampled noise is.

    Of k-space the share ``kept`` along each axis was measured and the rest filled with zeros: edges
    ring, and the noise is smooth.
    """
    image = ndimage.gaussian_filter(image, blur)
    grain = rng.uniform(0.0, 0.8)
    real, imaginary = (smooth_or_white(rng, image.shape, grain) for _ in range(2))
    parts = (truncated(part, kept) for part in (image + noise * real, noise * imaginary))
    return np.hypot(*parts)


def truncated(image: np.ndarray, kept) -> np.ndarray:
    """``image`` without its frequencies above the share ``kept`` along each axis.

    By cosine transform, so that opposite borders of a block, far apart in a head, do not ring into
    each other.
    """
    if min(kept) >= 1:
        return image
    spectrum = fft.dctn(image, norm="ortho")
    for axis, share in enumerate(kept):
        beyond = [slice(None)] * image.ndim
        beyond[axis] = slice(max(2, round(share * image.shape[axis])), None)
        spectrum[tuple(beyond)] = 0
    return fft.idctn(spectrum, norm="ortho")


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
