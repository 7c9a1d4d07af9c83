"""Every bad image of the list: one message that names the file, the fault and the cure."""

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import BadInput
from glymph.inputs.check import check_anatomical, check_diffusion
from tests.conftest import rotation

SHAPE = (12, 13, 14)


def save(path, data, affine=None, sform=1, qform=1):
    image = nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1]) if affine is None else affine)
    image.set_sform(image.affine, sform)
    image.set_qform(image.affine, qform)
    nib.save(image, path)
    return str(path)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(50, 900, shape).astype(np.float32)


@pytest.fixture
def t1w(tmp_path):
    return save(tmp_path / "sub-01_T1w.nii.gz", noise(*SHAPE))


@pytest.fixture
def dwi(tmp_path):
    """A sound series of one b = 0 and 7 directions; returns the dict of its files."""
    path = save(tmp_path / "sub-01_dwi.nii.gz", noise(*SHAPE, 8))
    v = np.random.default_rng(1).normal(size=(3, 8))
    v /= np.linalg.norm(v, axis=0)
    v[:, 0] = 0
    np.savetxt(tmp_path / "sub-01_dwi.bvec", v, fmt="%.8f")
    (tmp_path / "sub-01_dwi.bval").write_text("0 " + " ".join(["1000"] * 7))
    (tmp_path / "sub-01_dwi.json").write_text(json.dumps({"PhaseEncodingDirection": "j-"}))
    stem = tmp_path / "sub-01_dwi"
    return {"dwi": path} | {k: f"{stem}.{k}" for k in ("bval", "bvec", "json")}


def refused(call, *args, match, file=None):
    with pytest.raises(BadInput, match=match) as caught:
        call(*args)
    stop = caught.value.stop
    assert stop.cure, "every message says what to do"
    if file:
        assert stop.file.endswith(file)
    return str(stop)


def test_sound_images_pass(t1w, dwi):
    assert check_anatomical(t1w)["storage"] == "RAS"
    facts = check_diffusion(dwi, 1500)
    assert (facts["volumes"], facts["directions"], facts["phase_encoding"]) == (8, 7, "j-")


def test_sound_in_every_storage(storage, tmp_path):
    _, affine = storage
    check_anatomical(save(tmp_path / "a.nii.gz", noise(*SHAPE), affine))


def test_four_axes_of_which_one_is_single_pass(tmp_path):
    check_anatomical(save(tmp_path / "a.nii.gz", noise(*SHAPE, 1)))


def test_4d_t1w(tmp_path):
    path = save(tmp_path / "a_T1w.nii.gz", noise(*SHAPE, 3))
    refused(check_anatomical, path, match="4D image", file="a_T1w.nii.gz")


def test_empty_file(tmp_path):
    path = tmp_path / "a_T1w.nii.gz"
    path.touch()
    refused(check_anatomical, str(path), match="empty", file="a_T1w.nii.gz")


def test_empty_gzip(tmp_path):
    path = tmp_path / "a_T1w.nii.gz"
    path.write_bytes(gzip.compress(b""))
    refused(check_anatomical, str(path), match="not readable", file="a_T1w.nii.gz")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated_gzip(t1w, share):
    from pathlib import Path

    whole = Path(t1w).read_bytes()
    Path(t1w).write_bytes(whole[: int(len(whole) * share)])
    refused(check_anatomical, t1w, match="truncated|not readable", file="sub-01_T1w.nii.gz")


def test_corrupt_gzip(t1w):
    from pathlib import Path

    content = bytearray(Path(t1w).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    Path(t1w).write_bytes(content)
    refused(check_anatomical, t1w, match="damaged", file="sub-01_T1w.nii.gz")


def test_not_an_image(tmp_path):
    path = tmp_path / "a_T1w.nii.gz"
    path.write_bytes(b"hello" * 200)
    refused(check_anatomical, str(path), match="not readable")


def test_header_that_promises_too_much(tmp_path):
    path = tmp_path / "a_T1w.nii"
    save(path, noise(*SHAPE))
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()  # dim[1..3]
    path.write_bytes(content)
    refused(check_anatomical, str(path), match="promises")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan(tmp_path, value):
    data = noise(*SHAPE)
    data[3, 3, 3] = value
    refused(check_anatomical, save(tmp_path / "a.nii.gz", data), match="1 voxels are NaN")


def test_constant(tmp_path):
    refused(check_anatomical, save(tmp_path / "a.nii.gz", np.full(SHAPE, 7.0)), match="constant")


def head(tmp_path, change):
    """An image of a bright ball, with noise and air about it, as ``change`` makes it."""
    points = np.stack(np.meshgrid(*[np.arange(30)] * 3, indexing="ij"), -1)
    ball = np.linalg.norm(points - 15, axis=-1) < 11
    data = np.where(ball, 600.0, 0) + np.abs(np.random.default_rng(0).normal(0, 8, ball.shape))
    return save(tmp_path / "sub-01_T1w.nii.gz", change(data, ball).astype(np.float32))


@pytest.mark.parametrize(
    "change",
    [
        lambda d, ball: (d - d.mean()) / d.std(),
        lambda d, ball: np.where(ball, (d - d[ball].mean()) / d[ball].std(), 0),
        lambda d, ball: -d,
        lambda d, ball: d - 300,
    ],
)
def test_negative_images(tmp_path, change):
    refused(check_anatomical, head(tmp_path, change), match="% of its voxels are negative")


def stray(data):
    """``data`` with 4 voxels far below 0."""
    data[15, 15, 13:17] = -300 - np.arange(4)
    return data


def test_negative_values_within_a_padded_head(tmp_path):
    """As after a z-score of a brain without skull: the zeros about it have one value."""
    refused(
        check_anatomical,
        head(tmp_path, lambda d, ball: np.where(ball, np.arange(30) * 40.0 - 320, -330)),
        match=r"\d% of its voxels are negative \(down to -120\)",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda d, ball: np.where(ball, d, -1024),  # padded with one value
        lambda d, ball: stray(np.where(ball, d, -1024)),  # and a few others
        lambda d, ball: d - 16,  # noise about 0
        lambda d, ball: d + 40 * (np.random.default_rng(1).random(d.shape) < 0.005) * -5,
    ],
)
def test_few_negative_voxels_and_padding_pass(tmp_path, change):
    assert check_anatomical(head(tmp_path, change))["shape"] == [30, 30, 30]


def test_zero_voxel_size(tmp_path):
    path = tmp_path / "a.nii"
    save(path, noise(*SHAPE), sform=0)
    content = bytearray(path.read_bytes())
    content[80:84] = np.array([0], "<f4").tobytes()  # pixdim[1]
    path.write_bytes(content)
    refused(check_anatomical, str(path), match="voxel size is zero")


def test_zero_column_in_the_affine(tmp_path):
    path = tmp_path / "a.nii"
    save(path, noise(*SHAPE), qform=0)
    content = bytearray(path.read_bytes())
    content[280:292] = bytes(12)  # srow_x
    path.write_bytes(content)
    refused(check_anatomical, str(path), match="voxel size is zero")


def test_no_orientation(tmp_path):
    path = save(tmp_path / "a.nii.gz", noise(*SHAPE), sform=0, qform=0)
    refused(check_anatomical, path, match="neither sform nor qform")


def test_conflicting_forms(tmp_path):
    image = nib.Nifti1Image(noise(*SHAPE), np.diag([2.0, 2, 2, 1]))
    image.set_sform(np.diag([-2.0, 2, 2, 1]), 1)
    image.set_qform(np.diag([2.0, 2, 2, 1]), 1)
    nib.save(image, tmp_path / "a.nii.gz")
    refused(check_anatomical, str(tmp_path / "a.nii.gz"), match="sform and qform")


def test_sheared_affine(tmp_path):
    affine = np.diag([2.0, 2, 2, 1])
    affine[0, 1] = 0.4
    image = nib.Nifti1Image(noise(*SHAPE), affine)
    image.set_sform(affine, 1)
    image.header["qform_code"] = 0
    nib.save(image, tmp_path / "a.nii.gz")
    refused(check_anatomical, str(tmp_path / "a.nii.gz"), match="shear")


def test_colour_image(tmp_path):
    rgb = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(rgb, np.eye(4)), tmp_path / "a.nii.gz")
    refused(check_anatomical, str(tmp_path / "a.nii.gz"), match="no intensities")


def test_missing_file(tmp_path):
    refused(check_anatomical, str(tmp_path / "none.nii.gz"), match="does not exist")


@pytest.mark.parametrize("kind", ["bval", "bvec"])
def test_missing_gradient_file(dwi, kind):
    del dwi[kind]
    refused(check_diffusion, dwi, 1500, match=f"no .{kind}", file="sub-01_dwi.nii.gz")


def test_missing_json_is_a_note(dwi):
    del dwi["json"]
    notes = check_diffusion(dwi, 1500)["notes"]
    assert "no JSON sidecar" in notes[0]
    assert "sub-01_dwi.nii.gz" in notes[0]


def test_missing_phase_encoding_is_a_note(dwi, tmp_path):
    (tmp_path / "sub-01_dwi.json").write_text("{}")
    assert "PhaseEncodingDirection" in check_diffusion(dwi, 1500)["notes"][0]


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_bad_json(dwi, tmp_path, text):
    (tmp_path / "sub-01_dwi.json").write_text(text)
    refused(check_diffusion, dwi, 1500, match="JSON", file="sub-01_dwi.json")


def test_3d_dwi(dwi, tmp_path):
    save(tmp_path / "sub-01_dwi.nii.gz", noise(*SHAPE))
    refused(check_diffusion, dwi, 1500, match="3D image", file="sub-01_dwi.nii.gz")


def test_volumes_do_not_match(dwi, tmp_path):
    save(tmp_path / "sub-01_dwi.nii.gz", noise(*SHAPE, 9))
    refused(check_diffusion, dwi, 1500, match="8 b-values for an image of 9", file=".bval")


def test_no_b0(dwi, tmp_path):
    (tmp_path / "sub-01_dwi.bval").write_text(" ".join(["1000"] * 8))
    v = np.tile(np.eye(3)[:, :1], 8)
    np.savetxt(tmp_path / "sub-01_dwi.bvec", v)
    refused(check_diffusion, dwi, 1500, match="no volume with b = 0", file=".bval")


def test_too_few_directions(dwi, tmp_path):
    v = np.eye(3)[:, [0, 0, 1, 2, 0, 1, 2, 0]].astype(float)
    np.savetxt(tmp_path / "sub-01_dwi.bvec", v)
    refused(check_diffusion, dwi, 1500, match="3 diffusion directions", file=".bvec")


@pytest.mark.parametrize("tilt", [0.0, 0.05])
def test_directions_within_a_plane(dwi, tmp_path, tilt):
    angles = np.linspace(0, np.pi, 7, endpoint=False)
    height = tilt * np.cos(3 * angles)
    v = np.column_stack([[0, 0, 0], np.stack([np.cos(angles), np.sin(angles), height])])
    np.savetxt(tmp_path / "sub-01_dwi.bvec", v / np.maximum(np.linalg.norm(v, axis=0), 1e-9))
    refused(check_diffusion, dwi, 1500, match="nearly in one plane or cone", file=".bvec")


def spread(number):
    """So many directions that repel each other and their opposites, all on one half of the sphere,
    as schemes in use are made (Jones 1999)."""
    v = np.random.default_rng(number).normal(size=(number, 3))
    for _ in range(300):
        v /= np.linalg.norm(v, axis=1)[:, None]
        away = v[:, None] - np.concatenate([v, -v])
        distance = np.linalg.norm(away, axis=2)[..., None]
        pushes = np.divide(away, distance**3, out=np.zeros_like(away), where=distance > 1e-6)
        v = v + 0.05 * pushes.sum(axis=1) / number
    v /= np.linalg.norm(v, axis=1)[:, None]
    return v * np.where(v[:, 2:] < 0, -1, 1)


DUAL = np.array([(1, 0, 1), (-1, 0, 1), (0, 1, 1), (0, 1, -1), (1, 1, 0), (-1, 1, 0)])
AXES = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)])


@pytest.mark.parametrize("scheme", [DUAL, AXES, *map(spread, (6, 12, 16, 30))], ids=len)
def test_schemes_in_use_pass(dwi, tmp_path, scheme):
    number = len(scheme)
    save(tmp_path / "sub-01_dwi.nii.gz", noise(*SHAPE, number + 1))
    v = scheme / np.linalg.norm(scheme, axis=1)[:, None]
    np.savetxt(tmp_path / "sub-01_dwi.bvec", np.vstack([[0, 0, 0], v]).T)
    (tmp_path / "sub-01_dwi.bval").write_text("0" + " 1000" * number)
    assert check_diffusion(dwi, 1500)["directions"] == number


def test_a_plane_within_the_limit_is_told_though_more_lies_above_it(dwi, tmp_path):
    """7 directions in a plane at b = 1000, 30 all around at b = 3000."""
    angles = np.linspace(0, np.pi, 7, endpoint=False)
    plane = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    save(tmp_path / "sub-01_dwi.nii.gz", noise(*SHAPE, 38))
    np.savetxt(tmp_path / "sub-01_dwi.bvec", np.vstack([[[0, 0, 0]], plane, spread(30)]).T)
    (tmp_path / "sub-01_dwi.bval").write_text("0" + " 1000" * 7 + " 3000" * 30)
    refused(check_diffusion, dwi, 1500, match="nearly in one plane or cone")
    assert check_diffusion(dwi, 3000)["directions"] > 30


def test_directions_that_hardly_tell_a_tensor_are_noted(dwi, tmp_path):
    x, y, z = np.random.default_rng(0).uniform(0.2, 1, (3, 8))
    v = np.stack([x, y, z]) / np.sqrt(x * x + y * y + z * z)
    v[:, 0] = 0
    np.savetxt(tmp_path / "sub-01_dwi.bvec", v, fmt="%.8f")
    notes = check_diffusion(dwi, 1500)["notes"]
    assert any("hardly tell a tensor (condition number" in note for note in notes)


def test_all_shells_above_the_limit(dwi):
    refused(check_diffusion, dwi, 500, match="0 diffusion directions")


def test_dead_volume(dwi, tmp_path):
    data = noise(*SHAPE, 8)
    data[..., 5] = 0
    save(tmp_path / "sub-01_dwi.nii.gz", data)
    refused(check_diffusion, dwi, 1500, match="volume 5: constant", file="sub-01_dwi.nii.gz")


def test_tilted_slab_passes(dwi, tmp_path):
    affine = np.eye(4)
    affine[:3, :3] = rotation(pitch=36) * 2
    save(tmp_path / "sub-01_dwi.nii.gz", noise(*SHAPE, 8), affine)
    check_diffusion(dwi, 1500)


@pytest.mark.parametrize(
    ("sizes", "units", "reason"),
    [((0.002, 0.002, 0.002), "meter", "units of one meter"),
     ((900, 900, 900), "micron", "units of one micron"),
     ((1, 1, 30), "mm", "voxels of 1 x 1 x 30 mm"), ((0.05, 1, 1), "mm", "no MRI of a head")],
)  # fmt: skip
def test_voxels_that_no_head_has(tmp_path, sizes, units, reason):
    affine = np.diag([*sizes, 1.0])
    image = nib.Nifti1Image(np.random.default_rng(0).random((8, 8, 8), np.float32), affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units(units)
    nib.save(image, tmp_path / "t.nii.gz")
    with pytest.raises(BadInput, match=f"{reason}|it spans"):
        check_anatomical(str(tmp_path / "t.nii.gz"))


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", ["float64", "int8", "uint16", "float32"])
@pytest.mark.parametrize("axes", [(), (1,), (1, 1)])
def test_what_nifti_allows_is_read(tmp_path, kind, dtype, axes):
    data = (100 * np.random.default_rng(0).random((8, 9, 10, *axes))).astype(dtype)
    image = kind(data, np.eye(4))
    image.set_sform(np.eye(4), 1)
    nib.save(image, tmp_path / "t.nii")
    assert check_anatomical(str(tmp_path / "t.nii"))["shape"][:3] == [8, 9, 10]
