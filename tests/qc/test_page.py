"""The page: every value and flag, text from files escaped, pictures drawn in every storage."""

import io

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_from_to
from scipy import ndimage

from glymph.common.names import region_names
from glymph.common.spaces import write_itk_affine
from glymph.qc import figures, panels, pictures, thumbnails
from glymph.qc.page import Figure, render
from tests.conftest import STORAGE, grid

RECORD = {
    "participant_id": "sub-01",
    "session_id": None,
    "values": {"alps_native_left": 1.5, "alps_native_right": None, "alps_native_mean": None,
               "brain_volume_mm3": 1234567.0},
    "flags": [{"metric": "alps_native_mean", "value": None, "message": "ALPS has no value"}],
    "stops": [],
    "notes": [],
    "methods": {"registration": "T1w"},
    "placement_shifts_mm": {"left_projection": [1.26, 0.0, -2.0], "left_association": [0, 0, 0]},
    "software": {"glymph": "0.2.0"},
}  # fmt: skip


def test_page_shows_values_flags_and_pictures():
    page = render(RECORD, [Figure("Title", "What to see", b"PNG", b"OTHER", ("T2w", "T1w"))])
    for text in (
        "1.5",
        "1,234,567",
        "ALPS has no value",
        "data:image/webp;base64,UE5H",
        "data:image/webp;base64,T1RIRVI=",
        "click for T1w",
        "What to see",
    ):
        assert text in page
    assert page.count("n/a") >= 2
    assert "sub-01\tn/a\tleft_projection\t1.3\t0.0\t-2.0\n" in page
    assert "left_association" not in page


def test_text_from_files_is_escaped():
    evil = "<script>alert(1)</script>"
    stop = {"stage": "x", "reason": evil, "file": evil, "cure": evil}
    page = render(RECORD | {"stops": [stop], "notes": [evil]}, [])
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") == 4


EVIL = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='alert(1)")


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_of_a_record_becomes_markup(evil):
    """Every text of a record and of a figure, wherever it stands on the page."""
    stop = dict.fromkeys(("stage", "reason", "file", "cure"), evil)
    record = RECORD | {
        "participant_id": evil, "session_id": evil, "stops": [stop], "notes": [evil],
        "flags": [{"metric": "alps_native_mean", "value": None, "message": evil}],
        "methods": {"registration": evil, "distortion": evil}, "software": {evil: evil},
    }  # fmt: skip
    page = render(record, [Figure(evil, evil, b"PNG")])
    assert evil not in page
    assert page.count("alert(1)") >= 10, "the text itself is shown"


def image(name, data):
    return nib.Nifti1Image(data.astype(np.float32), grid(STORAGE[name], shape=data.shape[:3]))


def phantom():
    """A head, directions (x, y, z, 3) in it, and four regions (x, y, z, 4) of one voxel each."""
    rng = np.random.default_rng(0)
    head = np.zeros((20, 22, 24))
    head[3:-3, 4:-2, 2:-5] = rng.random((14, 16, 17)) + 0.5
    regions = np.zeros((*head.shape, 4))
    for k in range(4):
        regions[6 + k, 8 + k, 9, k] = 1
    return head, rng.normal(size=(*head.shape, 3)), regions


def test_left_is_left_in_every_storage():
    """A bright left half of the head stands left in the coronal and axial panels."""
    shape = (20, 22, 24)
    for name in STORAGE:
        affine = grid(STORAGE[name], shape=shape, centre=(0, 0, 0))
        voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
        x = (voxels @ affine[:3, :3].T + affine[:3, 3])[..., 0]
        ras = panels.ras(nib.Nifti1Image((x < 0).astype(np.float32), affine))
        data = panels.array(ras)
        assert data[: data.shape[0] // 2].mean() > 0.8, name
        assert data[data.shape[0] // 2 :].mean() < 0.2, name


@pytest.mark.parametrize("name", STORAGE)
def test_figures_are_drawn_in_every_storage(name):
    head, v1, regions = phantom()
    maps = [image(name, d) for d in (head, v1, regions)]
    for found in (
        figures.colour_fa(*maps, maps[2], region_names()),
        figures.regions_overview(*maps, region_names()),
        *figures.alignment(panels.matched(maps[0], image(name, head > 0.8))),
        figures.brain_outline(maps[0], image(name, head > 0)),
    ):
        assert found[8:12] == b"WEBP"


def test_a_region_outside_the_image_is_named():
    head = np.ones((12, 12, 12))
    nothing = image("RAS", np.zeros((12, 12, 12, 4)))
    v1 = image("RAS", np.ones((12, 12, 12, 3)))
    png = figures.colour_fa(image("RAS", head), v1, nothing, nothing, region_names())
    assert png[8:12] == b"WEBP"


def test_motion_trace():
    names = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    names += ["displacement", "framewise_displacement", "eddy_displacement"]
    for row in (dict.fromkeys(names, "0.1"), dict.fromkeys(names)):
        assert figures.motion_trace([row] * 5)[8:12] == b"WEBP"


def coloured(webp, colour):
    """How many pixels of a picture have the hue of ``colour``; thin lines lose brightness."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(webp)).convert("RGB"), int)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    excess = {"yellow": np.minimum(red, green) - blue, "red": red - np.maximum(green, blue)}
    return int((excess[colour] > 50).sum())


def test_what_is_found_and_not_counted_is_seen():
    places, objects, others = (np.zeros((30, 30, 30)) for _ in range(3))
    places[4:26, 4:26, 4:26] = 3
    objects[8:12, 8:12, 10:20] = 1
    parts = [image("RAS", d) for d in (places - 0.5, places, objects)]
    plain = figures.epvs_overview(parts[0], None, *parts[1:], image("RAS", others))
    others[16:20, 16:20, 10:20] = 1
    marked = figures.epvs_overview(parts[0], None, *parts[1:], image("RAS", others))
    assert coloured(plain, "yellow") == 0
    assert coloured(marked, "yellow") > 100
    assert coloured(marked, "red") > 100


@pytest.mark.parametrize("name", STORAGE)
def test_lesions_are_shown_on_the_flair_where_it_lies(tmp_path, name):
    """The FLAIR as scanned, 2 mm away from the T1w and in any storage: its bright lesion is where
    the mask on the T1w's grid marks it."""
    t1w, lesions = np.full((40, 42, 44), -1.0), np.zeros((40, 42, 44))
    t1w[4:36, 4:38, 4:40] = 0.2
    lesions[14:20, 16:24, 10:30] = 1
    flair = image("RAS", np.where(t1w > -1, 100 + 120 * lesions, 0))
    wide = (70, 70, 70)
    stored = resample_from_to(flair, (wide, grid(STORAGE[name], shape=wide)), order=1)
    stored.affine[:3, 3] += (2, 0, 0)
    have = {"t1w_1mm": image("RAS", t1w), "lesions": image("RAS", lesions), "flair": stored}
    paths = {k: str(tmp_path / f"{k}.nii.gz") for k in have}
    for key, path in paths.items():
        nib.save(have[key], path)
    paths["flair_matrix"] = str(tmp_path / "matrix.mat")
    moved = np.eye(4)
    moved[0, 3] = 2
    write_itk_affine(paths["flair_matrix"], moved)
    seen = {}

    def overview(ground, brain, marked):
        seen["ground"], seen["marked"] = ground, marked
        return b"drawn"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures.figures, "lesions_overview", overview)
        ((figure, _),) = pictures.pictures(paths, None)
    assert figure.title == "White-matter lesions" and figure.caption.startswith("FLAIR, plain")
    inside = ndimage.binary_erosion(seen["marked"], iterations=2)
    assert inside.any() and seen["ground"][inside].min() > 200
    outside = ~ndimage.binary_dilation(seen["marked"], iterations=2)
    assert seen["ground"][outside].max() < 120
    ((figure, _),) = pictures.pictures({k: v for k, v in paths.items() if "flair" not in k}, None)
    assert figure.caption.startswith("T1w (there is no FLAIR)")
    assert coloured(figure.picture, "red") > 100


@pytest.mark.parametrize("name", STORAGE)
def test_thumbnails_are_one_strip_in_every_storage(name):
    from PIL import Image

    head, v1, regions = phantom()
    places = np.zeros(head.shape)
    places[4:16, 6:18, 4:16] = 3
    t1w, mask, labels = (image(name, d) for d in (head, head > 0, places))
    maps = [image(name, d) for d in (head, v1, regions)]
    strip = thumbnails.thumbnails(
        {
            "brain": lambda axis: thumbnails.brain(axis, t1w, mask),
            "b0": lambda axis: thumbnails.edges(axis, panels.matched(t1w, mask)),
            "regions": lambda axis: thumbnails.regions(axis, t1w, labels),
            "epvs": lambda axis: thumbnails.epvs(axis, t1w, labels, image(name, head > 1.4)),
            "roi": lambda axis: thumbnails.roi(axis, *maps, region_names()),
            "motion": lambda axis: thumbnails.motion(axis, [{"displacement": "0.5"}] * 3),
        }
    )
    picture = Image.open(io.BytesIO(strip))
    assert picture.size == (thumbnails.TILE_PX[0] * len(thumbnails.TILES), thumbnails.TILE_PX[1])
    tiles = np.split(np.asarray(picture.convert("L"), float), len(thumbnails.TILES), axis=1)
    drawn = {tile for tile, part in zip(thumbnails.TILES, tiles, strict=True) if part.max() > 60}
    assert drawn == {"brain", "b0", "regions", "epvs", "roi", "motion"}
    assert len(strip) < 100_000


def test_the_page_of_the_cohort_knows_the_tiles():
    from glymph.review.definitions import definitions

    assert tuple(definitions()["tiles"]) == thumbnails.TILES
