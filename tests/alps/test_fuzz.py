"""ROI masks of a user: `BadInput`, or a region that can be divided into cells.

GLYMPH_FUZZ draws more examples: see `tests.fuzzing`.
"""

import gzip

import numpy as np
import pytest
from hypothesis import given

from glymph.alps.roi import Mask, coverage
from glymph.common.errors import BadInput
from tests.fuzzing import fuzz, image_bytes, images, refused, survives, with_fields

AFFINE = np.diag([2.0, 2, 2, 1])


@fuzz(60)
@given(images((4, 4, 4)))
def test_masks(tmp_path, image):
    path = tmp_path / f"roi{image[1]}"
    path.write_bytes(image[0])
    survives(lambda: coverage(Mask(str(path)), AFFINE, [], []), BadInput, path)
    points = np.array([[0.0, 0, 0], [1e30, 0, 0], [-5, 1, 2]])
    survives(lambda: Mask(str(path)).contains(points), BadInput, path)


@pytest.mark.parametrize(
    ("changes", "match"),
    [([("srow_x", 3, 1e30)], "farther"), ([("srow_x", 0, 30.0)], "wider"),
     ([("scl_slope", 0, -1.0)], "empty")],
)  # fmt: skip
def test_masks_in_no_template_space(tmp_path, changes, match):
    path = tmp_path / "roi.nii.gz"
    path.write_bytes(gzip.compress(with_fields(image_bytes(), changes)))
    refused(lambda: coverage(Mask(str(path)), AFFINE, [], []), BadInput, path, match=match)


def test_a_mask_of_two_far_voxels_takes_no_memory(tmp_path):
    head = with_fields(image_bytes((4, 4, 4), dtype="u1"), [("dim", k, 400) for k in (1, 2, 3)])
    data = np.zeros(400**3, np.uint8)
    data[[0, -1]] = 1
    path = tmp_path / "roi.nii.gz"
    path.write_bytes(gzip.compress(head[:352] + data.tobytes(), 1))
    refused(lambda: Mask(str(path)).outline(), BadInput, path, match="wider")
