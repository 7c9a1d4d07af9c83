"""Noise and sharpness: what was put in comes out, whatever the image's scale."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from glymph.epvs import quality

SHAPE = (60, 60, 60)
LABELS = np.ones(SHAPE, np.uint8)
BRAIN = np.zeros(SHAPE, bool)
BRAIN[2:-2, 2:-2, 2:-2] = True


def pair(noise=0.0, blur_mm=0.8, scale=1.0):
    """T1w and T2w of white matter about a ventricle, blurred and noisy (share of the contrast)."""
    rng = np.random.default_rng(1)
    distance = np.linalg.norm(np.mgrid[:60, :60, :60] - 29.5, axis=0)
    share = gaussian_filter(np.clip(14.5 - distance, 0, 1), blur_mm)
    LABELS[distance < 16] = 0
    made = []
    for low, high in ((0.6, -0.8), (-0.7, 0.7)):
        image = low + (share + noise * rng.standard_normal(SHAPE)) * (high - low)
        made.append(np.where(BRAIN, scale * image, -1).astype(np.float32))
    return made


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.08])
def test_noise_is_measured_as_a_share_of_the_contrast(noise):
    values = quality.measure(*pair(noise), BRAIN, LABELS)
    assert values["t1w_noise"] == pytest.approx(noise, rel=0.15)
    assert values["t2w_noise"] == pytest.approx(noise, rel=0.15)
    scaled = quality.measure(*pair(noise, scale=0.5), BRAIN, LABELS)
    assert scaled["t1w_noise"] == pytest.approx(values["t1w_noise"], rel=0.01)


@pytest.mark.parametrize("blur_mm", [0.7, 1.0, 1.4])
def test_edges_are_as_wide_as_the_blur(blur_mm):
    values = quality.measure(*pair(0.01, blur_mm), BRAIN, LABELS)
    voxel = 1.0  # an edge between voxels is blurred by these as well
    wide = np.hypot(2.355 * blur_mm, voxel)
    assert values["t1w_edge_mm"] == pytest.approx(wide, rel=0.2)


def test_without_a_t2w_or_white_matter_there_is_no_value():
    t1w, _ = pair()
    values = quality.measure(t1w, None, BRAIN, LABELS)
    assert values["t2w_noise"] is values["t2w_edge_mm"] is None
    assert values["t1w_noise"] is not None
    assert set(quality.measure(t1w, None, BRAIN, np.zeros_like(LABELS)).values()) == {None}
