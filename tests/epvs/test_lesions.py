"""Objects that are bright on T2w without being as dark on T1w as CSF."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from glymph.epvs import lesions
from glymph.epvs.census import find_objects
from glymph.epvs.lesions import unlike_csf

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


def judged(pair, labels=None, least=0.7):
    labels = np.full(SHAPE, 1, np.uint8) if labels is None else labels
    return dict(zip(AXES, unlike_csf(objects(), *pair, INSIDE, labels, least), strict=True))


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
    monkeypatch.setattr(lesions, "_sharpness", lambda share, inside: 1.0)
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
