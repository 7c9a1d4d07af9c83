"""The 1 mm grid, intensities, alignment and regions, under every storage order."""

from functools import partial

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from glymph.common import legend
from glymph.common.errors import BadInput
from glymph.epvs import align, atlas, prepare, regions
from tests.conftest import STORAGE, grid, rotation


def field(points):
    """A smooth brain-like pattern of world points: values differ everywhere."""
    x, y, z = np.moveaxis(np.asarray(points), -1, 0)
    return np.sin(x / 9.0) + np.cos(y / 7.0) + np.sin(z / 8.0 + x / 15.0)


def image_on(axes, sizes, shape=(70, 76, 64), values=field):
    affine = grid(axes, sizes=sizes, shape=shape)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    data = values(nib.affines.apply_affine(affine, index))
    return nib.Nifti1Image(data.astype(np.float32), affine)


def ball(points, radius=24.0):
    return (np.linalg.norm(points - np.array([3.0, -5.0, 8.0]), axis=-1) < radius).astype(float)


@pytest.mark.parametrize("axes", STORAGE)
def test_grid_is_ras_ordered_at_1_mm_and_holds_the_brain(axes):
    mask = image_on(STORAGE[axes], (0.8, 1.0, 1.2), values=ball)
    found = prepare.brain_grid(mask)
    sizes = nib.affines.voxel_sizes(found.affine)
    np.testing.assert_allclose(sizes, 1.0, atol=1e-6)
    axes_of = found.affine[:3, :3]
    assert (np.diag(axes_of) > 0.8).all()
    inside, _ = prepare.resample(mask, found, order=1)
    assert inside.sum() == pytest.approx(4 / 3 * np.pi * 24**3, rel=0.02)


@pytest.mark.parametrize("axes", STORAGE)
def test_resampling_finds_the_same_world_values(axes):
    image = image_on(STORAGE[axes], (1.0, 1.3, 0.9))
    target = prepare.brain_grid(image_on(STORAGE[axes], (1.0, 1.3, 0.9), values=ball))
    found, seen = prepare.resample(image, target)
    assert seen.mean() > 0.85  # the margin about the brain may leave the image
    error = np.abs(found - field(target.points()))[seen]
    assert np.percentile(error, 99) < 0.02


def test_a_1_mm_image_keeps_its_values_exactly():
    image = image_on(np.eye(3), (1.0, 1.0, 1.0))
    target = prepare.brain_grid(image_on(np.eye(3), (1.0, 1.0, 1.0), values=ball))
    found, _ = prepare.resample(image, target)
    np.testing.assert_allclose(found, field(target.points()), atol=1e-4)


def test_matrix_carries_the_grid_to_the_other_image():
    image = image_on(np.eye(3), (1.0, 1.0, 2.0))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(pitch=5), [2, -1, 1.5]
    target = prepare.Grid((20, 20, 20), grid(np.eye(3), (1, 1, 1), (20, 20, 20)))
    found, _ = prepare.resample(image, target, matrix)
    expected = field(nib.affines.apply_affine(matrix, target.points()))
    assert np.abs(found - expected).max() < 0.05


def test_intensities_run_from_minus_one_to_one_in_the_brain():
    rng = np.random.default_rng(0)
    data, brain = rng.normal(500, 100, (30, 30, 30)), np.zeros((30, 30, 30), bool)
    brain[5:25, 5:25, 5:25] = True
    found = prepare.scaled(data, brain, "x.nii.gz")
    assert (found[~brain] == -1).all()
    assert found.min() == -1 and found.max() == 1
    assert abs(np.median(found[brain])) < 0.05
    with pytest.raises(BadInput, match="one and the same value"):
        prepare.scaled(np.ones((30, 30, 30)), brain, "x.nii.gz")


def test_a_t2w_that_hardly_shows_the_brain_is_refused():
    brain = np.ones((10, 10, 10), bool)
    seen = np.zeros((10, 10, 10), bool)
    seen[0] = True
    with pytest.raises(BadInput, match="shows 10% of the brain"):
        prepare.coverage(seen, brain, "t2w.nii.gz")


@pytest.fixture(scope="module")
def template():
    from glymph.common.template import load_template

    return load_template(None)


@pytest.fixture(scope="module")
def labels(template):
    return atlas.draw(template, atlas.enclosed(template.t1w.shape, template.t1w.affine))


def test_atlas_is_symmetric_and_of_anatomical_size(template, labels):
    count = np.bincount(labels.ravel())
    sizes = {name: [count[v] for v in legend.label_values(name)] for name in legend.names()}
    for left, right in sizes.values():
        assert abs(left - right) < 0.07 * max(left, right)
    assert 170_000 < sum(sizes["cso"]) < 260_000
    assert 50_000 < sum(sizes["dwm"]) < 110_000
    assert 35_000 < sum(sizes["bg"]) < 60_000
    assert 6_000 < sum(sizes["midbrain"]) < 11_000


@pytest.mark.parametrize(
    "mni, region, side",
    [
        ((26, 4, 0), "bg", "right"),  # putamen
        ((-13, 10, 12), "bg", "left"),  # caudate
        ((-26, -20, 35), "cso", "left"),
        ((30, 20, 30), "cso", "right"),
        ((30, 20, 24), "dwm", "right"),
        ((6, -22, -14), "midbrain", "right"),
        ((0, -60, -30), None, None),  # cerebellum
        ((10, -20, 8), None, None),  # thalamus
        ((0, 5, 24), None, None),  # corpus callosum
        ((18, -90, 2), None, None),  # occipital pole
    ],
)
def test_atlas_names_known_places(template, labels, mni, region, side):
    voxel = np.round(nib.affines.apply_affine(np.linalg.inv(template.t1w.affine), mni)).astype(int)
    entry = legend.definitions()["labels"].get(int(labels[tuple(voxel)]), {})
    assert (entry.get("region"), entry.get("side")) == (region, side)


def test_small_holes_belong_to_their_region_and_ventricles_do_not():
    whole = np.zeros((40, 40, 40), np.uint8)
    whole[5:35, 5:35, 5:35] = 1
    holed = whole.copy()
    holed[10:12, 10, 10:16] = 0  # a perivascular space
    holed[20:30, 20:30, 20:30] = 0  # a ventricle
    holed[0, 0, 0] = 1  # a crumb
    found = regions.tidy(holed)
    assert found[10, 10, 12] == 1
    assert found[25, 25, 25] == 0
    assert found[0, 0, 0] == 0


def test_a_space_that_is_open_to_the_outside_belongs_to_its_region_and_a_sulcus_does_not():
    x, y, z = np.indices((40, 40, 40))
    whole = np.where((x > 4) & (x < 35) & (y > 4) & (y < 35) & (z > 4) & (z < 35), 1, 0)
    space = (np.hypot(x - 12, y - 12) <= 1.5) & (z > 20)  # 3 mm wide, it reaches the cortex
    ventricle = (x > 20) & (x < 30) & (y > 12) & (y < 22) & (z > 12) & (z < 25)
    beside = (np.hypot(y - 17, z - 18) <= 1.5) & (x >= 30) & (x < 34)  # it opens into the ventricle
    sulcus = (np.abs(y - 28) < 1 + (z - 20) / 4) & (z > 20)
    open_ones = space | ventricle | beside | sulcus
    found = regions.tidy(np.where(open_ones, 0, whole).astype(np.uint8)) > 0
    assert found[space & (z < 33)].all() and found[beside & (x > 30)].mean() > 0.9
    assert not found[ventricle].any()
    assert found[sulcus].mean() < 0.05
    assert (found <= (whole > 0)).all()


@pytest.mark.parametrize("size", [0.8, 1.2])
def test_the_grid_s_phase_does_not_depend_on_the_mask(size):
    """A mask that is one voxel larger, or stored the other way round, moves no grid point."""
    shape = (70, 76, 64)
    places = []
    for axes, radius in (("RAS", 24.0), ("RAS", 24.0 + size), ("LAS", 24.0), ("PSR", 24.0)):
        mask = image_on(STORAGE[axes], (size,) * 3, shape, values=partial(ball, radius=radius))
        affine = prepare.brain_grid(mask).affine
        middle = nib.affines.apply_affine(mask.affine, (np.array(shape) - 1) / 2)
        places.append(np.linalg.inv(affine[:3, :3]) @ (middle - affine[:3, 3]))
    away = np.array(places) - np.round(places)
    assert np.abs(away).max() < 1e-6


def test_a_mask_that_reaches_the_border_ends_there():
    t1w = image_on(np.eye(3), (1.0, 1.0, 4.0), (70, 76, 12))
    mask = nib.Nifti1Image(np.ones(t1w.shape, np.uint8), t1w.affine)
    done = prepare.prepare(t1w, mask, None, None, "t1w.nii.gz")
    inside = nib.affines.apply_affine(np.linalg.inv(t1w.affine), prepare.Grid(
        done.mask.shape, done.affine).points())  # fmt: skip
    beyond = (inside < -0.5).any(-1) | (inside > np.array(t1w.shape) - 0.5).any(-1)
    assert done.mask.any() and not done.mask[beyond].any()


def test_provided_labels_must_be_known():
    with pytest.raises(BadInput, match="must be among"):
        regions.check_provided(np.full((4, 4, 4), 9), "labels.nii.gz")


def test_region_sizes_that_no_brain_has_are_refused():
    with pytest.raises(BadInput, match="region cso has 0 mm3"):
        regions.check_sizes(np.zeros((4, 4, 4), np.uint8), "t1w.nii.gz")


def brain_pair(axes, sizes, shift):
    """A head in T1w and T2w contrast: different intensities of one anatomy, the T2w displaced."""

    def head(points, contrast):
        x, y, z = np.moveaxis(np.asarray(points), -1, 0)
        r = np.sqrt(((x - 3) / 26) ** 2 + ((y + 5) / 30) ** 2 + ((z - 8) / 24) ** 2)
        folds = np.sin(x / 3.1) + np.sin(y / 3.7 + 1) + np.sin(z / 3.3 + 2)
        tissue = np.where(folds > 0.4, 2, 1)
        deep = ((x - 3) / 6) ** 2 + ((y + 5) / 14) ** 2 + ((z - 8) / 5) ** 2
        tissue = np.where(deep < 1, 0, tissue)
        values = np.take({"t1": [20, 70, 110], "t2": [200, 100, 60]}[contrast], tissue)
        return np.where(r < 1, values, 0.0)

    t1w = image_on(np.eye(3), (1.2, 1.2, 1.2), values=lambda p: head(p, "t1"))
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = rotation(pitch=3, yaw=-2), shift
    back = np.linalg.inv(move)
    shape = (64, 64, 26) if sizes[2] > 2 else (64, 64, 64)
    t2w = image_on(
        STORAGE[axes], sizes, shape,
        values=lambda p: head(nib.affines.apply_affine(back, p), "t2"),
    )  # fmt: skip
    smooth = nib.Nifti1Image(ndimage.gaussian_filter(np.asarray(t2w.dataobj), 0.4), t2w.affine)
    return t1w, smooth, move


@pytest.mark.slow
@pytest.mark.parametrize("axes", STORAGE)
@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0)], ids=["3D", "2D"])
def test_alignment_finds_the_displacement(axes, sizes):
    t1w, t2w, truth = brain_pair(axes, sizes, shift=(2.5, -3.0, 2.0))
    found, facts = align.align(t2w, t1w, "t2w.nii.gz")
    points = np.array([[3.0, -5, 8], [20, -5, 8], [3, 20, 8], [3, -5, 25]])
    error = nib.affines.apply_affine(found, points) - nib.affines.apply_affine(truth, points)
    assert np.linalg.norm(error, axis=1).max() < 0.5, facts


def test_images_of_different_things_are_refused():
    rng = np.random.default_rng(5)
    t1w, _, _ = brain_pair("RAS", (1.0, 1.0, 1.0), (0, 0, 0))
    noise = ndimage.gaussian_filter(rng.standard_normal((50, 50, 50)), 3) + 5
    other = nib.Nifti1Image(noise.astype(np.float32), grid(np.eye(3), (1.5,) * 3, (50, 50, 50)))
    with pytest.raises(BadInput, match="cannot be aligned"):
        align.align(other, t1w, "t2w.nii.gz")


def test_an_outline_is_in_one_piece_per_side():
    x = np.broadcast_to(np.arange(30)[:, None, None] - 14.5, (30, 20, 20))
    places = np.zeros(x.shape, np.uint8)
    places[2:8, 2:8, 2:8] = places[20:26, 2:8, 2:8] = 2
    places[2:5, 14:17, 14:17] = 2
    found = regions.largest_parts(places, x)
    assert (found[2:5, 14:17, 14:17] == 0).all()
    np.testing.assert_array_equal(found[:, :10], places[:, :10])


def test_of_the_network_s_outlines_tissue_counts_on_both_sides(monkeypatch, tmp_path):
    """A box outlined as basal ganglia: its fluid is left out, left is where template x < 0."""
    shape, affine = (30, 20, 20), np.eye(4)
    share = np.ones(shape, np.float32)
    share[:, :, 10:] = 0.3
    for name in ("gm", "wm"):
        nib.save(nib.Nifti1Image(share / 2, affine), tmp_path / f"{name}.nii.gz")
    places = np.zeros(shape, np.uint8)
    places[5:25, 4:16, 4:16] = 1 + legend.names().index("bg")
    monkeypatch.setattr(regions, "open_bundle", lambda *_: type("Bundle", (), {"title": "net"}))
    monkeypatch.setattr(regions, "from_network", lambda *_: places)
    x = np.broadcast_to(np.arange(30)[:, None, None] - 14.5, shape)
    monkeypatch.setattr(regions.Subject, "template_points", np.stack([x, x, x]))
    monkeypatch.setattr(regions.Subject, "below_roof", lambda _: np.zeros(shape, bool))
    files = {name: str(tmp_path / f"{name}.nii.gz") for name in ("gm", "wm")}
    subject = regions.Subject(nib.Nifti1Image(share, affine), None, "", "", files)
    labels, made_by = regions.draw(subject, "vbnet", None, 1)
    left, right = legend.label_values("bg")
    expected = np.zeros(shape, np.uint8)
    expected[5:15, 4:16, 4:10], expected[15:25, 4:16, 4:10] = left, right
    np.testing.assert_array_equal(labels, expected)
    assert made_by == "net"


def test_voxel_sizes_are_the_image_s_own():
    values = prepare.voxels("t2w", np.diag([0.5, 0.5, -3.0, 1]))
    assert values == {"t2w_voxel_mm3": 0.75, "t2w_voxel_longest_mm": 3.0}
    assert set(prepare.voxels("t2w", None).values()) == {None}


def test_volumes_are_of_the_grid_as_it_is():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[2:6, 2:6, 2:6] = 1
    affine = np.diag([1.0, 260 / 256, 260 / 256, 1])
    found = regions.volumes(labels, affine)
    name = next(n for n in legend.names() if 1 in legend.label_values(n))
    assert found[f"{name}_volume_mm3"] == pytest.approx(64 * (260 / 256) ** 2)
