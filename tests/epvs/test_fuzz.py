"""Masks and labels of a lab's own and of raters: `BadInput`, or arrays on the grid asked for.

GLYMPH_FUZZ draws more examples: see `tests.fuzzing`.
"""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given

from glymph.common.errors import BadInput
from glymph.common.given import mask_on
from glymph.epvs import lesions, regions, segment
from tests.fuzzing import SHAPE, fuzz, image_bytes, images, refused, survives

T1W = nib.Nifti1Image(np.zeros(SHAPE, np.float32), np.diag([2.0, 2, 2, 1]))
LABELS = np.ones(SHAPE, np.uint8)


def readers(path):
    """Every function of the stage that takes such a file, called with ``path``."""
    path = str(path)
    return {
        "rater": lambda: mask_on(path, T1W, "the rater's mask"),
        "regions": lambda: regions.find(
            regions.Subject(T1W, None, "", "", {"provided": path}), "provided", None, 1
        )[0],
        "epvs": lambda: segment.segment(T1W, None, LABELS, "provided", None, 0.1, path, 0.5, 1)[0],
        "lesions": lambda: (
            lesions.find_lesions({"lesion_mask": path}, LABELS, T1W.affine, 3.0).mask
        ),
    }


@fuzz(60)
@given(images())
def test_masks_of_a_lab(tmp_path, image):
    path = tmp_path / f"mask{image[1]}"
    path.write_bytes(image[0])
    for name, call in readers(path).items():
        found = survives(call, BadInput, path)
        assert isinstance(found, str) or found.shape == SHAPE, name


@pytest.mark.parametrize("name", readers(""))
def test_a_sound_file_of_another_kind_and_a_missing_one(tmp_path, name):
    path = tmp_path / "mask.nii"
    refused(readers(path)[name], BadInput, path, match="does not exist")
    path.write_text("participant_id\n")
    refused(readers(path)[name], BadInput, path, match="not readable")
    path.write_bytes(image_bytes((*SHAPE, 2)))
    refused(readers(path)[name], BadInput, path, match="3 axes")


@pytest.mark.parametrize("value", [np.nan, 0.5, 1e30, -7])
def test_labels_that_mean_nothing(tmp_path, value):
    path = tmp_path / "labels.nii.gz"
    nib.save(nib.Nifti1Image(np.full(SHAPE, value, np.float32), T1W.affine), path)
    refused(readers(path)["regions"], BadInput, path, match="labels must be among")


def test_many_odd_labels_are_a_short_message(tmp_path):
    path = tmp_path / "labels.nii.gz"
    data = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    nib.save(nib.Nifti1Image(data + 100, T1W.affine), path)
    refused(readers(path)["regions"], BadInput, path, match=r"100, 101.*\.\.\.")
