"""Fine-tuning: subjects are never on both sides, and a rater's habit is learned."""

import numpy as np
import pytest
from scipy import ndimage

from glymph.common.errors import BadInput
from glymph.networks.bundle import folder_of
from glymph.networks.run import Bundle, load_bundle
from glymph.networks.vbnet import VBNet
from glymph.train import samples
from glymph.train.anatomy import draw_head
from glymph.train.finetune import Example, check_base, crops, judge, make_task, split
from glymph.train.fit import train
from glymph.train.images import ORDINARY, render_pair

SETTINGS = {
    "steps": 60, "batch": 6, "rate": 0.005, "focal": 5.0, "gamma": 2.0, "alpha": 0.75, "seed": 1,
    "workers": 0, "bfloat16": False, "validation": 8, "validate_every": 20, "patience": 9,
    "held_out": 0.34,
}  # fmt: skip
NETWORK = {"dims": 2, "inputs": 3, "classes": 2, "base": 4, "bottleneck": "1-3-1"}


def examples(count):
    """Brains with dark and bright spots, of which the rater marks the dark ones on T1w."""
    made = []
    for number in range(count):
        rng = np.random.default_rng(number)
        t1w = rng.normal(0.5, 0.05, (64, 64, 6)).astype(np.float32)
        mask = np.zeros(t1w.shape, bool)
        for _ in range(30):
            x, y, z = *rng.integers(4, 58, 2), rng.integers(6)
            mask[x : x + 3, y : y + 3, z] = True
        t2w = np.where(mask, 0.9, -0.4).astype(np.float32) + 0.05 * t1w
        t1w[mask] -= 1.2
        labels = np.ones(t1w.shape, np.uint8)
        made.append(Example(f"sub-{number // 2}", t1w, t2w, mask, labels))
    return made


def test_split_is_by_subject_seeded_and_complete():
    names = [f"sub-{k}" for k in range(10)] * 2
    training, held_out = split(names, 0.3, seed=1)
    assert not set(training) & set(held_out)
    assert sorted(training + held_out) == sorted(set(names))
    assert len(held_out) == 3
    assert split(names, 0.3, seed=1) == (training, held_out)


def test_too_few_subjects_are_refused():
    with pytest.raises(BadInput, match="too few"):
        split(["sub-1", "sub-2", "sub-3"], 0.3, seed=1)


def test_crops_hold_image_and_mask_together():
    for (image, label), _ in zip(crops(examples(2), seed=3), range(10), strict=False):
        assert image.shape == (3, 96, 96) and label.shape == (96, 96)
        inside = label > 0
        if inside.any():
            assert image[0][inside].mean() < image[0][(image[0] > -1) & ~inside].mean()


def test_a_network_of_another_kind_is_refused():
    settings = {"channels": ["t1w", "t2w"], "shares": False}
    with pytest.raises(BadInput, match="does not give shares"):
        check_base(Bundle(None, settings, "an older one"))


def test_training_and_judging_never_share_a_subject():
    network = VBNet(**NETWORK)
    task, held_out = make_task(examples(12), network.state_dict(), NETWORK, SETTINGS)
    assert len({e.subject for e in held_out}) == 2
    assert task.weights is not None


@pytest.mark.slow
def test_the_rater_s_habit_is_learned(tmp_path):
    """From the shipped weights, with a rater who draws every space one voxel wider."""
    base = load_bundle(folder_of("epvs", None), threads=1)
    network = {k: v for k, v in base.settings["network_def"].items() if k != "_target_"}
    settings = SETTINGS | {"steps": 40, "rate": 0.0005, "focal": 20.0, "validate_every": 40}
    wide = [wide_example(number) for number in range(8)]
    task, held_out = make_task(wide, base.net.state_dict(), network, settings)
    before = np.mean([row["dice"] for row in judge(base, held_out, "before")])
    base.net.load_state_dict(train(task, tmp_path, threads=1))
    after = np.mean([row["dice"] for row in judge(base, held_out, "after")])
    assert after > before + 0.05


def wide_example(number):
    rng = np.random.default_rng(500 + number)
    share = np.zeros(1)
    while (share > samples.LABEL_SHARE).sum() < 50:  # some blocks hold no space at all
        tissues, contents, share = samples.epvs_block(rng, draw_head(rng))
    image, _ = render_pair(rng, tissues, contents, ORDINARY)
    marked = share > samples.LABEL_SHARE
    mask = ndimage.binary_dilation(marked, ndimage.generate_binary_structure(3, 1))
    labels = (tissues.tissue > 0.5).astype(np.uint8)
    return Example(f"sub-{number}", *image, mask, labels)
