"""A processed head becomes a donor of surroundings: in MNI space, in any storage order."""

import nibabel as nib
import numpy as np
import pytest

from glymph.common.images import array, load
from glymph.common.spaces import apply_affine
from glymph.train import donate, donors

TURN = nib.eulerangles.euler2mat(0.1, -0.2, 0.15)
SHIFT = np.array([4.0, -7.0, 3.0])


def to_head(mni):
    """The made-up head's own points: turned and moved."""
    return mni @ TURN.T + SHIFT


def itk_affine(path):
    """`to_head` as a file of ITK, whose axes point left and back."""
    flip = np.diag([-1.0, -1.0, 1.0])
    numbers = [*(flip @ TURN @ flip).ravel(), *(flip @ SHIFT)]
    from scipy.io import savemat

    savemat(path, {"AffineTransform_double_3_3": np.array(numbers)[:, None],
                   "fixed": np.zeros((3, 1))}, format="4")  # fmt: skip


@pytest.fixture
def head(tmp_path):
    """(stem, ball): files of a head whose brain is a ball of white matter off the middle, with a
    fat eye at its left, stored in the order ``codes``."""

    def write(codes):
        stem = str(tmp_path / codes / "sub-01")
        (tmp_path / codes).mkdir()
        affine = np.diag([3.0, 3, 3, 1])
        affine[:3, 3] = -120
        points = np.stack(np.meshgrid(*[np.arange(80)] * 3, indexing="ij"), -1)
        mni = (apply_affine(affine, points) - SHIFT) @ TURN  # back from the head's points
        brain = np.linalg.norm(mni - [10, -20, 5], axis=-1) < 40
        eye = np.linalg.norm(mni - [-60, 40, -30], axis=-1) < 12
        made = {
            "desc-preproc_T1w": 700.0 * brain + 1400 * eye,
            "desc-brain_mask": brain,
            "label-GM_probseg": np.zeros_like(brain),
            "label-WM_probseg": brain,
        }
        for name, data in made.items():
            image = nib.Nifti1Image(data.astype(np.float32), affine)
            change = nib.orientations.ornt_transform(
                nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(codes))
            )
            nib.save(image.as_reoriented(change), f"{stem}_{name}.nii.gz")
        itk_affine(f"{stem}_from-T1w_to-template_desc-affine_mode-image_xfm.mat")
        return stem

    return write


def places(data, threshold):
    """Centre (MNI mm) of what exceeds ``threshold``."""
    _, affine = donate.grid()
    return apply_affine(affine, np.argwhere(data > threshold)).mean(0)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "PSR", "LIP"])
def test_it_lies_where_the_affine_says_and_white_matter_is_one(head, codes):
    parts, seen = donate.donated(head(codes))
    assert places(parts["brain"], 0.5) == pytest.approx([10, -20, 5], abs=0.3)
    assert places(parts["T1w"], 1.5) == pytest.approx([-60, 40, -30], abs=0.6)
    white = parts["T1w"][parts["brain"] > 0.99]
    assert np.median(white) == pytest.approx(1, abs=1e-3)
    assert not seen.all() and (parts["T1w"][~seen] == 0).all()


def test_what_is_written_is_a_donor(head, tmp_path):
    parts, seen = donate.donated(head("RAS"))
    below = np.full(seen.shape, 0.7)
    parts = donate.continued(parts, seen, below)
    donate.write(parts, "mine", tmp_path)
    written = array(load(tmp_path / "mine_T1w.nii.gz"))
    assert np.abs(written - np.clip(parts["T1w"], 0, 3)).max() < 0.007
    assert written[~seen] == pytest.approx(0.7, abs=0.007)
    donor = donors.load_donor("mine", tmp_path)
    middle = np.array([[10.0, -20, 5], [-60, 40, -30]])
    assert donor.at(middle) == pytest.approx([1, 2], abs=0.05)
    assert donors.place(donor, middle).distance[0] == 0


def test_the_shipped_donors_lie_on_its_grid():
    shape, affine = donate.grid()
    for name in donors.NAMES:
        image = nib.load(donors.FOLDER / f"{name}_T1w.nii.gz")
        assert image.shape == shape and np.array_equal(image.affine, affine)
