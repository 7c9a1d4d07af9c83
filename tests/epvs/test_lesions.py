"""Objects that are bright on T2w without being as dark on T1w as CSF."""

import numpy as np
import pytest

from glymph.epvs.census import find_objects
from glymph.epvs.lesions import unlike_csf

SHAPE = (40, 40, 40)
WHITE, CSF = (0.6, -0.6), (-0.9, 0.9)
"""(T1w, T2w) of white matter and of CSF."""
AXES = {"tube": 10, "faint tube": 18, "lesion": 26, "faint lesion": 32}
SHARES = {
    "tube": (0.9, 0.95),
    "faint tube": (0.3, 0.3),
    "lesion": (0.45, 0.9),
    "faint lesion": (0.15, 0.3),
}
"""How far (T1w, T2w) go from white matter to CSF."""


def brain(noise=0.0):
    """T1w and T2w of white matter with a ventricle, four objects, and nothing around them."""
    rng = np.random.default_rng(4)
    pair = []
    for index in range(2):
        image = np.full(SHAPE, WHITE[index])
        image[30:36, :, 30:36] = CSF[index]
        for name, x in AXES.items():
            image[x, 10:14, 10] += SHARES[name][index] * (CSF[index] - WHITE[index])
        image = np.clip(image + noise * rng.standard_normal(SHAPE), -0.999, 1)
        image[:3] = image[-3:] = -1
        pair.append(image.astype(np.float32))
    return pair


def objects():
    field = np.zeros(SHAPE, np.float32)
    for x in AXES.values():
        field[x, 10:14, 10] = 1
    found = find_objects(field, np.full(SHAPE, 1, np.uint8), np.eye(4))
    return sorted(found, key=lambda item: item.voxels[0, 0])


def judged(pair, labels=None, least=0.7):
    labels = np.full(SHAPE, 1, np.uint8) if labels is None else labels
    return dict(zip(AXES, unlike_csf(objects(), *pair, labels, least), strict=True))


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_lesions_are_told_from_spaces_whole_and_in_part(noise):
    assert judged(brain(noise)) == {
        "tube": False, "faint tube": False, "lesion": True, "faint lesion": True,
    }  # fmt: skip


def test_scales_of_the_images_do_not_matter():
    t1w, t2w = brain()
    weak = np.where(t2w > -1, 0.5 * t2w + 0.1, -1).astype(np.float32)
    assert judged((t1w, weak)) == judged((t1w, t2w))


def test_the_share_is_a_setting():
    assert not any(judged(brain(), least=0.0).values())
    assert judged(brain(), least=0.4) == dict.fromkeys(AXES, False)


def test_nothing_is_judged_where_the_t2w_does_not_reach():
    t1w, t2w = brain()
    t2w[:, :20, :20] = -1
    assert not any(judged((t1w, t2w)).values())


def test_nothing_is_judged_without_white_matter():
    assert not any(judged(brain(), np.full(SHAPE, 3, np.uint8)).values())
