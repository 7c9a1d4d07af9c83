"""Real backgrounds: what is planted shows in the images, what was known stays marked."""

from itertools import islice

import numpy as np
import pytest
from scipy import ndimage

from glymph.common.errors import BadInput
from glymph.common.images import save
from glymph.common.spaces import write_itk_affine
from glymph.train.backgrounds import FILES, background_slices, load_backgrounds, planted
from glymph.train.networks import mixed
from glymph.train.samples import epvs_slices

SHAPE = (70, 70, 40)
AFFINE = np.array([[1, 0, 0, -35.0], [0, 1, 0, -45], [0, 0, 1, 10], [0, 0, 0, 1]])
"""In MNI space: deep white matter."""
KNOWN = (slice(20, 23), slice(30, 33), slice(18, 24))


@pytest.fixture(params=["T1w and T2w", "T1w alone"])
def run_folder(tmp_path, request):
    anat = tmp_path / "sub-01" / "ses-1" / "anat"
    anat.mkdir(parents=True)
    stem = f"{anat}/sub-01_ses-1"
    rng = np.random.default_rng(1)
    noise = 0.03 * rng.standard_normal((2, *SHAPE)).astype(np.float32)
    save(0.4 + noise[0], AFFINE, stem + FILES["t1w"])
    if request.param == "T1w and T2w":
        save(-0.4 + noise[1], AFFINE, stem + FILES["t2w"])
    else:
        (tmp_path / (stem + FILES["t2w"])).touch()
    labels, known = np.zeros((2, *SHAPE), np.uint8)
    labels[5:-5, 5:-5, 5:-5] = 1
    known[KNOWN] = 1
    save(labels, AFFINE, stem + FILES["labels"])
    save(known, AFFINE, stem + FILES["known"])
    write_itk_affine(stem + FILES["affine"], np.eye(4))
    return tmp_path


def test_planted_spaces_show_and_known_ones_stay(run_folder):
    (background,) = load_backgrounds(run_folder)
    images, label = planted(np.random.default_rng(3), background)
    assert (label[KNOWN] == 1).all()
    new = (label > 0.4) & ~background.known
    assert new.sum() > 50
    before = background.images
    assert (images[0] - before[0])[new].mean() < -0.1
    # Axes stay inside the regions; half a width may not.
    assert not new[~ndimage.binary_dilation(background.tissues.wm > 0, iterations=2)].any()
    if before[1].max() > -1:
        assert (images[1] - before[1])[new].mean() > 0.1
    else:
        assert np.array_equal(images[1], before[1])
    far = np.ones(SHAPE, bool)
    far[4:-4, 4:-4, 4:-4] = False
    assert np.abs((images - before)[:, far].mean()) < 0.01


def test_slices_hold_both_and_are_seeded(run_folder):
    backgrounds = load_backgrounds(run_folder)
    first = list(islice(background_slices(backgrounds, 5), 24))
    again = list(islice(background_slices(backgrounds, 5), 24))
    for (image, label), (image_again, label_again) in zip(first, again, strict=True):
        assert image.shape == (3, 96, 96)
        assert label.shape == (96, 96)
        assert image.min() >= -1
        assert image.max() <= 1
        assert np.array_equal(image, image_again)
        assert np.array_equal(label, label_again)
    assert sum(label.any() for _, label in first) > 12


def test_a_share_of_the_stream_is_real(run_folder):
    backgrounds = load_backgrounds(run_folder)
    real = list(islice(mixed(backgrounds, 1.0)(5), 3))
    made = list(islice(mixed(backgrounds, 0.0)(5), 3))
    for (a, _), (b, _) in zip(real, islice(background_slices(backgrounds, 5), 3), strict=True):
        assert np.array_equal(a, b)
    for (a, _), (b, _) in zip(made, islice(epvs_slices(5), 3), strict=True):
        assert np.array_equal(a, b)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no prepared images"):
        load_backgrounds(tmp_path)
