"""A rater's correction: what was left alone keeps its numbers, whatever grid it lies on."""

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import BadInput
from glymph.epvs import census
from glymph.epvs.maps import corrected_on
from tests.conftest import STORAGE, grid

SHAPE = (30, 28, 26)
READING = census.Reading(0.35, 0.2, shares=True)
LABELS = np.full(SHAPE, 1, np.uint8)
LABELS[:, :, :3] = 0


def shares():
    """Three blurred tubes, two of them near enough to share what lies between."""
    x, y, z = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    found = np.zeros(SHAPE, np.float32)
    for a, b, low, high in ((8, 8, 5, 20), (11, 8, 5, 20), (20, 20, 4, 12)):
        near = np.exp(-((x - a - 0.3) ** 2 + (y - b) ** 2) / 1.6) * (z >= low) * (z < high)
        found = np.maximum(found, 0.9 * near).astype(np.float32)
    return found


def automatic(affine):
    objects = census.find_objects(shares(), LABELS, affine, None, READING)
    assert len(objects) == 3
    return objects, census.mask_of(objects, SHAPE)


def recount(mask, affine):
    return census.find_corrected(shares(), LABELS, affine, None, READING, mask)


def sizes(objects):
    return sorted((o.volume, o.length, o.width, len(o.voxels)) for o in objects)


@pytest.mark.parametrize("axes", STORAGE)
def test_a_deleted_object_is_one_fewer_and_no_other_changes(axes):
    affine = grid(STORAGE[axes], sizes=(1.0, 1.0, 1.0), shape=SHAPE)
    objects, numbers = automatic(affine)
    assert sizes(recount(numbers > 0, affine)) == sizes(objects)
    for gone in range(3):
        left = recount((numbers > 0) & (numbers != gone + 1), affine)
        assert sizes(left) == sizes(o for k, o in enumerate(objects) if k != gone)


def test_whole_voxels_would_be_another_measure():
    objects, numbers = automatic(np.eye(4))
    whole = census.find_objects((numbers > 0).astype(np.float32), LABELS, np.eye(4))
    pairs = list(zip(sizes(whole), sizes(objects), strict=True))
    assert all(a[1] == b[1] for a, b in pairs)
    assert any(abs(a[0] - b[0]) > 0.05 * b[0] for a, b in pairs)


def test_what_is_drawn_counts_as_whole_voxels_inside_the_regions():
    _, numbers = automatic(np.eye(4))
    mask = numbers > 0
    mask[3, 24, 0:9] = True
    (new,) = [o for o in recount(mask, np.eye(4)) if o.voxels[0, 1] == 24]
    assert new.voxels[:, 2].tolist() == [3, 4, 5, 6, 7, 8]
    assert new.volume == pytest.approx(6, rel=0.01)


def test_a_trimmed_object_is_smaller_and_its_neighbours_are_not():
    objects, numbers = automatic(np.eye(4))
    mask = numbers > 0
    mask[:, :, 15:] = False
    after = {o.voxels[0].tolist()[0]: o for o in recount(mask, np.eye(4))}
    before = {o.voxels[0].tolist()[0]: o for o in objects}
    assert after[20].volume == before[20].volume
    assert after[8].length == before[8].length - 5
    assert after[8].volume == pytest.approx(before[8].volume * 10 / 15, rel=0.05)


@pytest.mark.parametrize("axes", STORAGE)
@pytest.mark.parametrize("voxel", [(1.0, 1.0, 1.0), (0.7, 0.8, 0.9), (1.2, 1.1, 1.6)])
def test_a_mask_on_another_grid_changes_only_what_was_changed(axes, voxel):
    """The result on the T1w's own grid, copied and corrected there: as the manual says."""
    affine = grid(np.eye(3), sizes=(1.0, 1.0, 1.0), shape=SHAPE)
    objects, numbers = automatic(affine)
    shape = tuple(int(np.ceil((n + 8) / min(voxel))) for n in SHAPE)
    own = grid(STORAGE[axes], sizes=voxel, shape=shape)
    middle = affine[:3, :3] @ np.array(SHAPE) / 2 + affine[:3, 3]
    own[:3, 3] = middle - own[:3, :3] @ (np.array(shape) / 2)
    labels = nib.Nifti1Image(LABELS, affine)
    seen = census.on_image(numbers, affine, shape, own)
    same = nib.Nifti1Image((seen > 0).astype(np.uint8), own)
    assert (corrected_on(same, "mask", numbers, labels) == (numbers > 0)).all()
    cut = nib.Nifti1Image(((seen > 0) & (seen != 2)).astype(np.uint8), own)
    left = recount(corrected_on(cut, "mask", numbers, labels), affine)
    assert sizes(left) == sizes([objects[0], objects[2]])


def test_a_mask_that_lies_elsewhere_or_is_inverted_is_refused():
    _, numbers = automatic(np.eye(4))
    labels = nib.Nifti1Image(LABELS, np.eye(4))
    away = np.eye(4)
    away[:3, 3] = 500
    mask = (numbers > 0).astype(np.uint8)
    with pytest.raises(BadInput, match="does not lie where the T1w lies"):
        corrected_on(nib.Nifti1Image(mask, away), "mask", numbers, labels)
    with pytest.raises(BadInput, match="which perivascular spaces never fill"):
        corrected_on(nib.Nifti1Image(1 - mask, np.eye(4)), "mask", numbers, labels)
