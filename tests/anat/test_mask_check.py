"""What tells a failed brain mask: geometry in any storage, and a simulated head's mask damaged."""

import dataclasses

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_from_to
from scipy import ndimage

from glymph.anat import deepbet, mask_check
from glymph.common.errors import BadInput
from glymph.common.images import array
from glymph.common.spaces import apply_affine
from glymph.common.template import load_template
from glymph.metrics.flags import flags
from tests.conftest import STORAGE, grid

CENTRE, SIZES, SHAPE = (0.0, -18.0, 8.0), (3.0, 3.5, 4.0), (72, 72, 72)


@pytest.fixture(scope="module")
def template():
    return load_template(None)


@pytest.fixture(params=STORAGE)
def seen(request, template):
    """(template brain as a mask, the T1w, template mm of every voxel) in a storage order."""
    affine = grid(STORAGE[request.param], SIZES, SHAPE, CENTRE)
    t1w = resample_from_to(template.t1w, (SHAPE, affine), order=1)
    t1w = nib.Nifti1Image(array(t1w), affine)
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return array(t1w) > 10, t1w, apply_affine(affine, index)


def shares(mask, t1w, template):
    """The metrics of a mask of the template itself, which lies where it lies."""
    return mask_check.missed(mask, t1w.affine, np.eye(4), template) | mask_check.beyond(
        mask, t1w.affine, np.eye(4), template
    )


def test_a_whole_mask_misses_nothing(seen, template):
    mask, t1w, _ = seen
    assert max(shares(mask, t1w, template).values()) < 0.01


def test_a_cut_cerebellum_and_brain_stem_are_missed(seen, template):
    mask, t1w, at = seen
    found = shares(mask & ~((at[..., 1] < -40) & (at[..., 2] < -18)), t1w, template)
    assert found["cerebellum_missed_share"] > 0.5
    assert found["brainstem_missed_share"] < 0.3
    stem = (abs(at[..., 0]) < 25) & (at[..., 1] > -48) & (at[..., 1] < 0) & (at[..., 2] < -22)
    found = shares(mask & ~stem, t1w, template)
    assert found["brainstem_missed_share"] > 0.4
    assert found["cerebellum_missed_share"] < 0.1, "the peduncles"


def test_a_side_is_missed_and_a_neck_is_beyond(seen, template):
    mask, t1w, at = seen
    assert shares(mask & (at[..., 0] < 0), t1w, template)["brain_missed_share"] == pytest.approx(
        0.5, abs=0.05
    )
    neck = (np.hypot(at[..., 0], at[..., 1] + 45) < 30) & (at[..., 2] < -78)
    found = shares(mask | neck, t1w, template)
    assert found["brain_beyond_share"] == pytest.approx(neck.sum() / (mask | neck).sum(), abs=0.01)


def test_what_was_not_scanned_is_not_missed(template):
    """A slab from z = 20 upwards: nothing is said of the brain stem, and nothing is missed."""
    affine = grid(STORAGE["LAS"], SIZES, (72, 72, 20), (0, -18, 60))
    t1w = resample_from_to(template.t1w, ((72, 72, 20), affine), order=1)
    mask = array(t1w) > 10
    found = mask_check.missed(mask, affine, np.eye(4), template)
    assert found["brainstem_missed_share"] is None
    assert found["brain_missed_share"] is None, "less than half of the brain is in view"
    assert mask_check.beyond(mask, affine, np.eye(4), template)["brain_beyond_share"] < 0.01


def test_the_border_is_a_share_of_the_surface(storage):
    """A brick of 20 x 25 x 30 mm, one end of its first axis on the image's edge."""
    _, affine = storage
    mask = np.zeros((30, 30, 30), bool)
    mask[0:10, 5:15, 5:15] = True
    ends, sides = 2 * 25 * 30, 2 * (20 * 25 + 20 * 30)
    found = mask_check.border(mask, affine)["brain_border_share"]
    assert found == pytest.approx(0.5 * ends / (ends + sides))
    assert mask_check.border(mask, affine, mask) == {"brain_border_share": 0.0}, "a brain is cut"
    assert mask_check.border(np.roll(mask, 3, axis=0), affine) == {"brain_border_share": 0.0}


def test_masks_of_two_engines():
    one, two = np.zeros((2, 8, 8, 8), bool)
    one[2:6], two[4:8] = True, True
    assert mask_check.compare(one, two) == {"brain_masks_overlap": 0.5}
    assert mask_check.compare(one, None) == {"brain_masks_overlap": None}
    mask_check.refuse_overlap(mask_check.compare(one, two), "a and b", "x.nii.gz")
    with pytest.raises(BadInput, match=r"x.nii.gz: .*a and b have a Dice of 0.00"):
        mask_check.refuse_overlap(mask_check.compare(one, ~one), "a and b", "x.nii.gz")


@pytest.mark.parametrize("name, words", [
    ("brain_missed_share", "misses 40% of the template's brain"),
    ("brain_beyond_share", "lies by 40% outside the template's brain"),
])  # fmt: skip
def test_what_is_no_brain_is_refused(name, words):
    sound = {"brain_missed_share": 0.01, "brain_beyond_share": None}
    mask_check.refuse_shares(sound, "x.nii.gz")
    with pytest.raises(BadInput, match=f"x.nii.gz: the brain mask {words}.*To do: look"):
        mask_check.refuse_shares(sound | {name: 0.4}, "x.nii.gz")


def test_parts_lie_in_the_template_s_brain(template):
    deep, affine = mask_check.depth(template)
    index = np.argwhere(deep > -1000)
    for name, part in mask_check.parts().items():
        own = mask_check.within(part, apply_affine(affine, index))
        assert (deep[tuple(index[own].T)] > 0).mean() > 0.97, name


def test_another_version_or_weight_is_another_fingerprint():
    version, *weights = deepbet.fingerprint()
    assert version == "1.0.2"
    assert weights == ["39a7b2b5f799", "de8ee7c69654"]


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """(T1w at 3 mm, true brain mask) of a simulated subject."""
    from glymph.simulate import LIGHT_SCAN, SubjectSpec, simulate_subject

    where = tmp_path_factory.mktemp("head")
    scan = dataclasses.replace(LIGHT_SCAN, modalities=("T1w",))
    spec = SubjectSpec("01", seed=4, scan=scan)
    simulate_subject(spec, where / "bids", where / "truth")
    t1w = nib.load(where / "bids/sub-01/anat/sub-01_T1w.nii.gz")
    truth = nib.load(where / "truth/sub-01/sub-01_space-T1w_label-brain_mask.nii.gz")
    return nib.Nifti1Image(array(t1w), t1w.affine), array(truth) > 0


def stored(image, name):
    """A head on a grid of 3 mm with other axes about the same middle."""
    corner = np.asarray(image.shape) - 1
    centre = apply_affine(image.affine, corner / 2)
    shape = (80, 80, 80)
    target = (shape, grid(STORAGE[name], (3.0, 3.0, 3.0), shape, centre))
    return nib.Nifti1Image(array(resample_from_to(image, target, order=1)), target[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", STORAGE)
def test_deepbet_finds_the_brain_in_any_storage(head, name):
    t1w, truth = head
    image = stored(t1w, name)
    wanted = array(stored(nib.Nifti1Image(truth.astype(np.float32), t1w.affine), name)) > 0.5
    holed = array(image).copy()
    holed[tuple(np.argwhere(wanted)[::5000].T)] = np.nan
    found = deepbet.find(nib.Nifti1Image(holed, image.affine), "x.nii.gz", 1)
    assert found.dtype == bool
    assert found.shape == wanted.shape
    assert mask_check.dice(found, wanted) > 0.93


@pytest.mark.slow
def test_deepbet_says_which_file_has_no_brain():
    speck = np.zeros((40, 40, 40), np.float32)
    speck[5:9, 5:9, 5:9] = 1
    for data in (speck, np.zeros_like(speck)):
        with pytest.raises(BadInput, match="deepbet finds no brain") as caught:
            deepbet.find(nib.Nifti1Image(data, np.diag([4.0, 4, 4, 1])), "x.nii.gz", 1)
        assert caught.value.stop.file == "x.nii.gz"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PSR", "oblique"])
def test_damaged_masks_of_a_simulated_head_are_noticed(head, template, name):
    t1w, truth = head
    image = stored(t1w, name)
    mask = array(stored(nib.Nifti1Image(truth.astype(np.float32), t1w.affine), name)) > 0.5
    sound = mask_check.against_template(mask, image, template)
    assert flags(sound) == []
    matrix, _ = mask_check.lay(image, mask, template)
    index = np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(apply_affine(np.linalg.inv(matrix) @ image.affine, index), -1, 0)
    damaged = {
        "eroded": ndimage.binary_erosion(mask, iterations=2),
        "dilated": ndimage.binary_dilation(mask, iterations=3),
        "cerebellum": mask & ~((y < -40) & (z < -18)),
        "temporal lobe": mask & ~((x < -28) & (y > -35) & (z < -8)),
        "left hemisphere": mask & (x < 0),
        "shifted": np.roll(mask, 5, axis=1),
    }
    for kind, one in damaged.items():
        assert flags(mask_check.against_template(one, image, template)), kind
