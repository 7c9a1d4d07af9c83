"""From the DWI to the anatomy: slabs find their place, and what is no upright brain is refused."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from glymph.common.errors import BadInput
from glymph.common.spaces import apply_affine, map_points
from glymph.common.template import Template
from glymph.dwi import linear, register
from tests.conftest import STORAGE, grid, rotation

PLACES = np.array([[24.0, -12, 24], [36, -12, 24], [-28, -12, 24], [-40, -12, 24]])


@pytest.fixture(scope="module")
def template():
    """A head of 4 mm voxels without symmetry front to back or up and down, tissues in layers."""
    affine = grid(np.eye(3), (4.0, 4.0, 4.0), (48, 56, 48), centre=(0.0, -18.0, 10.0))
    x, y, z = np.moveaxis(apply_affine(affine, np.moveaxis(np.indices((48, 56, 48)), 0, -1)), -1, 0)
    size = np.sqrt(
        (x / 68) ** 2 + ((y + 18) / 86) ** 2 + ((z - 10) / np.where(z > 10, 68, 55)) ** 2
    )
    tract = (np.hypot(np.hypot(np.abs(x) - 25, y + 20) / 16, (z - 25) / 45) < 1) & (size < 1)
    inner = (size < 0.82) | tract
    horns = np.hypot(np.hypot((np.abs(x) - 12) / 9, (y + 5) / 32), (z - 16) / 12) < 1
    horns |= np.hypot(np.hypot(x / 30, (y + 75) / 16), (z + 22) / 14) < 1
    nuclei = np.hypot(np.hypot((np.abs(x) - 18) / 13, (y + 2) / 22), (z + 6) / 14) < 1
    maps = {
        "wm": inner & ~horns & ~nuclei,
        "gm": (size < 1) & (~inner | nuclei) & ~horns,
        "csf": horns & (size < 1),
    }
    soft = {k: ndimage.gaussian_filter(m.astype(np.float32), 0.6) for k, m in maps.items()}
    t1w = np.where(size < 1, 90 * soft["wm"] + 60 * soft["gm"] + 20, 0).astype(np.float32)
    return Template(*(nib.Nifti1Image(m, affine) for m in (t1w, soft["gm"], soft["wm"])))


def scan(template, storage="RAS", thickness=None, centre=0.0, head=None, moved=(0, 0, 0), seed=1):
    """(b0, fa, mask, affine, pose): the template's head 8 % smaller, turned by ``head`` (3x3), seen
    in a slab of ``thickness`` mm around z = ``centre`` mm of the world; the header then ``moved``.

    ``pose`` (4x4) maps template points to those of the DWI.
    """
    turn = rotation(pitch=-12, yaw=6) if head is None else head
    pose = nib.affines.from_matvec(turn * 0.92, [3.0, 8.0, -5.0])
    shape = np.array([54, 66, 54])
    affine = grid(STORAGE[storage], (3.5, 3.5, 3.5), shape, centre=(3.0, -8.0, 4.0))
    points = apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    voxels = apply_affine(np.linalg.inv(pose @ template.t1w.affine), points)
    maps = (template.gm, template.wm, nib.Nifti1Image(template.csf, template.t1w.affine))
    gm, wm, csf = (
        ndimage.map_coordinates(np.asarray(m.dataobj), np.moveaxis(voxels, -1, 0), order=1)
        for m in maps
    )
    noise = np.random.default_rng(seed).standard_normal((2, *shape)).astype(np.float32)
    b0 = 3900 * gm + 3000 * wm + 9000 * csf + 120 * noise[0]
    mask = gm + wm + csf > 0.3
    fa = (0.12 * gm + 0.45 * wm + 0.05 * csf + 0.04 * noise[1]) * mask
    if thickness:
        axis = int(np.argmax(np.abs(affine[2, :3])))
        away = np.abs(points[..., 2] - centre).min(axis=tuple(k for k in range(3) if k != axis))
        kept = np.flatnonzero(away < thickness / 2)
        where = tuple(slice(kept[0], kept[-1] + 1) if k == axis else slice(None) for k in range(3))
        b0, fa, mask = (one[where] for one in (b0, fa, mask))
        affine = affine.copy()
        affine[:3, 3] += affine[:3, axis] * kept[0]
    shift = nib.affines.from_matvec(np.eye(3), moved)
    return b0.astype(np.float32), fa.astype(np.float32), mask, shift @ affine, shift @ pose


def distances(found, pose):
    return np.linalg.norm(apply_affine(found, PLACES) - apply_affine(pose, PLACES), axis=1)


@pytest.mark.parametrize("storage", STORAGE)
def test_a_slab_finds_its_place_in_any_storage(template, storage):
    *images, pose = scan(template, storage, thickness=80, centre=30)
    found, explained = linear.register(*images, template)
    assert distances(found, pose).max() < 2
    assert explained.min() > 0.8


@pytest.mark.parametrize(
    ("thickness", "centre", "moved"),
    [(60, 35, (0, 0, 0)), (80, 0, (0, 0, 60)), (108, 45, (0, 40, -50))],
)
def test_slabs_at_any_height_and_from_far_away(template, thickness, centre, moved):
    *images, pose = scan(template, thickness=thickness, centre=centre, moved=moved)
    found, _ = linear.register(*images, template)
    assert distances(found, pose).max() < 2.5


def test_a_nodding_head_is_found(template):
    *images, pose = scan(template, thickness=100, centre=20, head=rotation(pitch=35, roll=5))
    found, _ = linear.register(*images, template)
    assert distances(found, pose).max() < 2.5


def test_the_result_is_the_same_again(template):
    *images, _ = scan(template, thickness=80, centre=30)
    first, again = (linear.register(*images, template)[0] for _ in range(2))
    assert np.array_equal(first, again)


def spoiled(template, how):
    """The images of `scan` made unfit: what a registration must not be made of."""
    b0, fa, mask, affine, _ = scan(template)
    rng = np.random.default_rng(3)
    middle = apply_affine(affine, np.argwhere(mask).mean(axis=0))

    def turned(matrix):
        about = nib.affines.from_matvec(matrix, middle - matrix @ middle)
        return b0, fa, mask, about @ affine

    ball = np.linalg.norm(np.indices(mask.shape).T - np.array(mask.shape) / 2, axis=-1).T < 20
    half = mask & (np.indices(mask.shape)[0] < np.argwhere(mask)[:, 0].mean())
    order = rng.permutation(mask.shape[2])
    return {
        "on its side": lambda: turned(rotation(roll=90)),
        "on its back": lambda: turned(rotation(pitch=90)),
        "turned away": lambda: turned(rotation(yaw=90)),
        "upside down": lambda: turned(rotation(roll=180)),
        "mirrored up and down": lambda: (*(m[:, :, ::-1] for m in (b0, fa, mask)), affine),
        "half a brain": lambda: (b0 * half, fa * half, half, affine),
        "a phantom": lambda: (3000.0 * ball, 0.05 * ball * rng.random(mask.shape), ball, affine),
        "noise": lambda: (*rng.random((2, *mask.shape)), ball, affine),
        "slices in disorder": lambda: (*(m[:, :, order] for m in (b0, fa, mask)), affine),
        "voxels twice as large": lambda: (b0, fa, mask, affine @ np.diag([2, 2, 2, 1.0])),
    }[how]()


SPOILED = ("on its side", "on its back", "turned away", "upside down", "mirrored up and down",
           "half a brain", "a phantom", "noise", "slices in disorder",
           "voxels twice as large")  # fmt: skip


@pytest.mark.parametrize("how", SPOILED)
def test_what_is_no_upright_brain_is_refused(template, how):
    matrix, explained = linear.register(*spoiled(template, how), template)
    with pytest.raises(BadInput, match="does not fit the template"):
        register.refuse(matrix, explained)


def test_a_slab_is_laid_on_the_template(template, tmp_path):
    """The whole way, SyN included: the regions' places, there and back, and the metrics."""
    *images, pose = scan(template, thickness=60, centre=40, moved=(0, 0, 30))
    out = {
        "affine": str(tmp_path / "a.mat"),
        "warp": str(tmp_path / "w.nii.gz"),
        "inverse_warp": str(tmp_path / "i.nii.gz"),
    }
    metrics = register.to_template(*images, template, out)
    found = map_points(PLACES, [(out["warp"], False), (out["affine"], False)])
    assert np.linalg.norm(found - apply_affine(pose, PLACES), axis=1).max() < 4
    back = map_points(found, [(out["affine"], True), (out["inverse_warp"], False)])
    assert np.linalg.norm(back - PLACES, axis=1).max() < 1
    assert min(metrics["dwi_template_fit_b0"], metrics["dwi_template_fit_fa"]) > 0.8


@pytest.mark.parametrize(
    ("thickness", "moved"), [(60, (0, 0, 0)), (60, (0, 0, 30)), (None, (0, 0, 0))]
)
def test_starts_with_a_t1w(template, thickness, moved):
    """A slab starts from several places, one of them near the truth; a whole brain from one."""
    b0, _, mask, affine, pose = scan(template, thickness=thickness, centre=40, moved=moved)
    starts = register._starts(mask, affine, template.t1w)
    if thickness is None:
        assert starts == [None]
        return
    nearest = min(distances(np.linalg.inv(one), pose).min() for one in starts[1:])
    assert starts[0] is None and nearest < 25
