"""Objects that are bright on T2w without being as dark on T1w as CSF."""

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from glymph.common.spaces import write_itk_affine
from glymph.epvs import lesions
from glymph.epvs.census import find_objects
from glymph.epvs.lesions import (
    in_lesion_like,
    like_lesions,
    shown,
    surroundings,
    unlike_csf,
)

SHAPE = (40, 40, 40)
WHITE, CSF = (0.6, -0.6), (-0.9, 0.9)
"""(T1w, T2w) of white matter and of CSF."""
INSIDE = np.zeros(SHAPE, bool)
INSIDE[3:-3] = True
AXES = {"tube": 10, "faint tube": 18, "lesion": 26, "faint lesion": 32}
SHARES = {
    "tube": (0.9, 0.95),
    "faint tube": (0.3, 0.3),
    "lesion": (0.45, 0.9),
    "faint lesion": (0.15, 0.3),
}
"""How far (T1w, T2w) go from white matter to CSF."""


def brain(noise=0.0, blur=(0.4, 0.4)):
    """T1w and T2w of white matter with a ventricle and four objects, ``blur`` (voxels) of each."""
    rng = np.random.default_rng(4)
    distance = np.linalg.norm(np.mgrid[:40, :40, :40][1:] - 25.5, axis=0)
    ventricle = np.clip(5 - distance, 0, 1)  # a wall that cuts its voxels as they come
    pair = []
    for index in range(2):
        share = ventricle.copy()
        for name, x in AXES.items():
            share[x : x + 2, 10:16, 10:12] = SHARES[name][index]
        image = WHITE[index] + share * (CSF[index] - WHITE[index])
        image = gaussian_filter(image, blur[index]) + noise * rng.standard_normal(SHAPE)
        pair.append(np.where(INSIDE, image.clip(-0.999, 1), -1).astype(np.float32))
    return pair


def objects():
    field = np.zeros(SHAPE, np.float32)
    for x in AXES.values():
        field[x : x + 2, 10:16, 10:12] = 1
    found = find_objects(field, np.full(SHAPE, 1, np.uint8), np.eye(4))
    return sorted(found, key=lambda item: item.voxels[0, 0])


def around_objects(found, pair, labels):
    return surroundings(found, lesions.tissue(pair.fall, pair.seen, labels), labels)


def judged(pair, labels=None, least=0.7):
    labels = np.full(SHAPE, 1, np.uint8) if labels is None else labels
    pair = shown(*pair, INSIDE, labels)
    around = around_objects(objects(), pair, labels) if pair else []
    return dict(zip(AXES, unlike_csf(objects(), pair, around, least), strict=True))


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_lesions_are_told_from_spaces_whole_and_in_part(noise):
    assert judged(brain(noise)) == {
        "tube": False, "faint tube": False, "lesion": True, "faint lesion": True,
    }  # fmt: skip


def test_a_blurred_t1w_makes_spaces_no_lesions(monkeypatch):
    """Blur takes more contrast from a thin object than from a ventricle; what the ventricle loses
    tells how much is to be allowed for."""
    blurred = brain(blur=(0.8, 0.4))
    spaces = ("tube", "faint tube")
    monkeypatch.setattr(lesions, "EQUALLY_SHARP", 1.0)  # which equal images of this phantom are
    assert not any(judged(blurred)[name] for name in spaces)
    monkeypatch.setattr(lesions, "steepness", lambda share, brain: 1.0)
    assert any(judged(blurred)[name] for name in spaces)


def test_scales_of_the_images_do_not_matter():
    t1w, t2w = brain()
    weak = np.where(t2w > -1, 0.5 * t2w + 0.1, -1).astype(np.float32)
    assert judged((t1w, weak)) == judged((t1w, t2w))


def test_the_share_is_a_setting():
    t1w, t2w = brain()
    t1w[AXES["lesion"]] = 0.9  # brighter than white matter
    assert not any(judged((t1w, t2w), least=0.0).values())
    assert judged(brain(), least=0.4) == dict.fromkeys(AXES, False)


def test_nothing_is_judged_where_the_t2w_does_not_reach():
    t1w, t2w = brain()
    t1w[AXES["lesion"]] = 0.9  # brighter than white matter
    t2w[:, :20, :20] = -1
    assert not any(judged((t1w, t2w)).values())


def test_what_the_t2w_shows_of_an_object_is_judged():
    t1w, t2w = brain()
    t2w[:, :, :11] = -1  # the half of each
    assert judged((t1w, t2w)) == judged(brain())


def test_nothing_is_judged_without_white_matter():
    assert not any(judged(brain(), np.full(SHAPE, 3, np.uint8)).values())


def in_a_cap(t2w_rise, t1w_fall):
    """Space and lesion of `brain` inside a lesion that goes so far on both images."""
    pair = brain()
    cap = np.zeros(SHAPE, np.float32)
    cap[4:24, 4:24, 4:20] = 1
    cap = gaussian_filter(cap, 0.6)
    for index, share in enumerate((t1w_fall, t2w_rise)):
        level = WHITE[index] + share * (CSF[index] - WHITE[index])
        further = {0: np.minimum, 1: np.maximum}[index]
        inside = further(pair[index], WHITE[index] + cap * (level - WHITE[index]))
        pair[index] = np.where(INSIDE, inside, -1).astype(np.float32)
    return pair


def test_objects_in_a_cap_count_only_where_they_are_dark_on_t1w():
    labels = np.full(SHAPE, 1, np.uint8)
    pair = shown(*in_a_cap(0.45, 0.2), INSIDE, labels)
    around = around_objects(objects(), pair, labels)
    inside = dict(zip(AXES, in_lesion_like(objects(), pair, around, labels), strict=True))
    assert inside == {"tube": True, "faint tube": True, "lesion": False, "faint lesion": False}
    gone, share = like_lesions(objects(), pair, labels, 0.7)
    assert dict(zip(AXES, gone, strict=True)) == {
        "tube": False, "faint tube": True, "lesion": True, "faint lesion": True,
    }  # fmt: skip
    assert share == 0.5
    assert like_lesions(objects(), pair, labels, 0.0)[0] == [False] * 4
    assert like_lesions([], pair, labels, 0.7) == ([], None)


def test_spaces_side_by_side_are_no_cap_of_one_another():
    """A cluster of spaces 3 mm apart: bright between them is what blur spreads."""
    field, t1w, t2w = np.zeros(SHAPE, np.float32), *brain()
    for x in range(8, 24, 3):
        field[x, 12:20, 24:30] = 1
    for image, index in ((t1w, 0), (t2w, 1)):
        image += gaussian_filter(0.8 * field, 0.5) * (CSF[index] - WHITE[index])
    labels = np.full(SHAPE, 1, np.uint8)
    cluster = find_objects(field, labels, np.eye(4))
    assert len(cluster) == 6
    pair = shown(t1w, t2w, INSIDE, labels)
    around = around_objects(cluster, pair, labels)
    assert not any(in_lesion_like(cluster, pair, around, labels))
    assert not any(unlike_csf(cluster, pair, around, 0.7))


def test_the_tissue_around_is_what_a_space_stands_out_from():
    """Grey matter is brighter on T2w, and not CSF for it: a faint space in it is still one."""
    grey = {"t1w": 0.1, "t2w": 0.25}
    pair = brain()
    for index, share in enumerate(grey.values()):
        image = pair[index]
        lift = share * (CSF[index] - WHITE[index])
        image[14:24] = np.where(INSIDE[14:24], image[14:24] + lift, -1)
    assert not judged(pair)["faint tube"]


def flair_head():
    """FLAIR of white matter (100), basal ganglia (115) and cortex (125), and where they lie."""
    rng = np.random.default_rng(3)
    white = np.zeros(SHAPE, bool)
    white[4:36, 4:36, 4:36] = True
    labels = np.where(white, 1, 0).astype(np.uint8)
    labels[20:30, 10:20, 10:20] = 3
    white &= labels != 3
    flair = np.where(white, 100.0, 125.0)
    flair[labels == 3] = 115
    return flair + 4 * rng.standard_normal(SHAPE), white, labels


def test_lesions_are_found_and_healthy_grey_matter_is_none():
    flair, white, labels = flair_head()
    flair[10:14, 10:14, 10:14] = 160
    white[11:13, 11:13, 11:13] = False  # a segmentation takes some of it for grey matter
    flair[24:27, 14:17, 14:17] = 160
    flair[32, 32, 32] = 160
    found = lesions.bright_on_flair(flair, white, ~white, labels, deviations=6.0)
    assert found[10:14, 10:14, 10:14].all()
    assert found[24:27, 14:17, 14:17].all()
    assert not found[32, 32, 32]
    assert found.sum() == 64 + 27


def test_what_is_bright_among_grey_matter_is_no_lesion_of_white_matter():
    """A fold of cortex between two blades of white matter lies in what `_closed` fills."""
    flair, white, labels = flair_head()
    white[:, 25:29, 20:34] = False
    flair[:, 25:29, 20:34] = 112
    flair[8:14, 26:28, 24:30] = 160
    flair[8:11, 8:11, 8:11] = 160
    found = lesions.bright_on_flair(flair, white, ~white, labels, 6.0)
    assert found[8:11, 8:11, 8:11].all() and not found[:, 25:29, 20:34].any()
    kept = lesions.in_white_matter(np.ones((3, 3, 3), bool), *np.zeros((2, 3, 3, 3)))
    assert not kept.any()  # nothing about it is white


def test_beyond_the_field_of_view_of_the_flair_there_are_no_lesions(tmp_path):
    """Its outermost slice is repeated there, and a lesion in it would go on for ever."""
    flair, white, labels = flair_head()
    flair[24:27, 14:17, 11:15] = 160
    shown_of_it = nib.Nifti1Image(flair[:, :, :15].astype(np.float32), np.eye(4))
    nib.save(shown_of_it, tmp_path / "flair.nii.gz")
    for name, tissue in (("wm", white), ("gm", ~white)):
        nib.save(nib.Nifti1Image(tissue.astype(np.float32), np.eye(4)), tmp_path / f"{name}.nii.gz")
    write_itk_affine(tmp_path / "matrix.mat", np.eye(4))
    files = {"flair": "flair.nii.gz", "matrix": "matrix.mat", "wm": "wm.nii.gz", "gm": "gm.nii.gz"}
    files = {name: str(tmp_path / file) for name, file in files.items()}
    found = lesions.find_lesions(files, labels, np.eye(4), 6.0)
    assert found.mask[24:27, 14:17, 11:15].all() and not found.mask[:, :, 15:].any()


def test_what_a_program_marked_is_taken_as_it_stands(tmp_path):
    share = np.zeros((8, 9, 10), np.float32)
    share[2, 3, 4], share[2, 3, 5] = 0.6, 0.4
    nib.save(nib.Nifti1Image(share, np.eye(4)), tmp_path / "wmh.nii.gz")
    files = {"lesion_map": str(tmp_path / "wmh.nii.gz")}
    found = lesions.find_lesions(files, np.ones(share.shape, np.uint8), np.eye(4), 3.0)
    assert found.made_by == "command" and np.argwhere(found.mask).tolist() == [[2, 3, 4]]
    assert found.with_border.sum() == 1


def test_lesion_volumes_are_by_region():
    flair, white, labels = flair_head()
    flair[10:14, 10:14, 10:14] = flair[24:27, 14:17, 14:17] = 160
    bright = lesions.bright_on_flair(flair, white, ~white, labels, 6.0)
    values = lesions.volumes(lesions.Lesions(bright, "provided mask"), labels, np.eye(4))
    assert (values["wmh_volume_mm3"], values["wmh_bg_volume_mm3"]) == (64 + 27, 27)
    assert values["wmh_cso_volume_mm3"] == 64 and values["wmh_midbrain_volume_mm3"] == 0
    assert set(lesions.volumes(lesions.Lesions(None, "none"), labels, np.eye(4)).values()) == {None}
    by_program = lesions.volumes(lesions.Lesions(bright, "command"), labels, np.eye(4))
    assert by_program == values
    found = lesions.Lesions(bright, "FLAIR")
    assert set(lesions.volumes(found, labels, np.eye(4)).values()) == {
        None
    }  # a threshold is no measure
    assert found.with_border.sum() > found.mask.sum()
