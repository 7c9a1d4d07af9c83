"""Brain masks of a lab's own: `BadInput` or a mask on the T1w's grid.

GLYMPH_FUZZ draws more examples: see `tests.fuzzing`.
"""

import nibabel as nib
import numpy as np
from hypothesis import given

from glymph.anat.brain import brain_mask
from glymph.common.errors import BadInput
from tests.fuzzing import SHAPE, fuzz, image_bytes, images, refused, survives

T1W = nib.Nifti1Image(np.zeros(SHAPE, np.float32), np.diag([2.0, 2, 2, 1]))


def call(path):
    return brain_mask(T1W, {"brain": "provided"}, str(path), str(path), 1)


@fuzz(60)
@given(images())
def test_provided_masks(tmp_path, image):
    path = tmp_path / f"mask{image[1]}"
    path.write_bytes(image[0])
    survives(lambda: call(path), BadInput, path)


def test_a_mask_of_several_volumes(tmp_path):
    path = tmp_path / "mask.nii"
    path.write_bytes(image_bytes((*SHAPE, 2)))
    refused(lambda: call(path), BadInput, path, match="3 axes")
