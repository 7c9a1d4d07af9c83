"""Masks, templates and bundles of a lab: only `BadInput` or (of bundles) `Fault` gets out.

GLYMPH_FUZZ draws more examples: see `tests.fuzzing`.
"""

import hashlib
import io
import json
import os
import pickle
import zipfile

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from glymph.common.errors import BadInput, Fault, read_stop
from glymph.common.given import load_mask
from glymph.common.images import bounding_box
from glymph.common.template import load_template
from glymph.networks.bundle import NETWORK
from glymph.networks.run import load_bundle
from glymph.networks.vbnet import VBNet
from tests.fuzzing import JSON, damaged, fuzz, image_bytes, images, refused, survives, with_fields

SMALL = {"dims": 2, "inputs": 2, "classes": 2, "base": 4}
INFERENCE = {
    "network_def": {"_target_": NETWORK, **SMALL}, "window": [32, 32], "overlap": 0.25,
    "size": None, "voxel_mm": 1.0,
}  # fmt: skip


def weights_bytes() -> bytes:
    torch.manual_seed(0)
    stream = io.BytesIO()
    torch.save(VBNet(**SMALL).state_dict(), stream)
    return stream.getvalue()


WEIGHTS = weights_bytes()


def bundle(folder, inference=INFERENCE, weights=WEIGHTS, metadata=None):
    """A bundle whose metadata name the right sha256, unless ``metadata`` are given."""
    sound = {
        "name": "x",
        "version": "1",
        "weights": {"sha256": hashlib.sha256(weights).hexdigest()},
    }
    for place, content in (
        ("configs/inference.json", inference),
        ("configs/metadata.json", sound if metadata is None else metadata),
        ("models/model.pt", weights),
    ):
        (folder / place).parent.mkdir(exist_ok=True)
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / place).write_bytes(content)
    return folder


def loads(folder, **parts):
    bundle(folder, **parts)
    return survives(lambda: load_bundle(folder, 1), Fault, folder)


def test_sound_bundle(tmp_path):
    found = loads(tmp_path)
    assert found.title.startswith("x 1 (")
    assert found.probabilities(np.zeros((2, 32, 32, 2))).shape == (2, 32, 32, 2)


@fuzz(40)
@given(
    JSON.map(lambda v: json.dumps({"name": v, "version": "1", "weights": v}).encode())
    | JSON.map(lambda v: json.dumps({"weights": {"sha256": v}}).encode()) | st.binary(max_size=30)
)  # fmt: skip
@example(b"[" * 100_000)
@example(b"[1]")
@example(b"{}")
@example(b"\xff\xfe")
def test_metadata(tmp_path, content):
    bundle(tmp_path, metadata=content)
    refused(lambda: load_bundle(tmp_path, 1), Fault, tmp_path, match="To do")


KEYS = st.sampled_from(["dims", "inputs", "classes", "base", "bottleneck", "_target_", "more"])
ODD = JSON | st.sampled_from([0, -1, 1, 2.0, 3, 10**6, 10**18, 10**300, "3-3-3", True])


@fuzz(60)
@given(st.dictionaries(KEYS, ODD, max_size=2),
       st.dictionaries(st.sampled_from([*INFERENCE, "planes"]),
                       ODD | st.lists(ODD, min_size=2, max_size=3), max_size=2))  # fmt: skip
@example({"base": 10**6}, {})
@example({"inputs": 10**9}, {})
@example({"base": 0}, {})
@example({}, {"window": [30, 30]})
@example({}, {"window": None})
@example({}, {"voxel_mm": float("nan")})
@example({}, {"planes": []})
@example({}, {"planes": ["axial", ["coronal"]]})
def test_settings(tmp_path, network, others):
    loads(tmp_path, inference=INFERENCE | {"network_def": INFERENCE["network_def"] | network}
          | others)  # fmt: skip


@fuzz(25)
@given(damaged(WEIGHTS) | st.binary(max_size=60))
@example(b"")
@example(b"PK\5\6" + bytes(18))
@example(pickle.dumps([1, 2]))
@example(pickle.dumps({}, protocol=0))
def test_weights(tmp_path, content):
    loads(tmp_path, weights=content)


def test_weights_that_unpack_to_much_more(tmp_path):
    """torch.save does not compress, but its reader unpacks; 600 MB of zeros here."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WEIGHTS)) as old, zipfile.ZipFile(
        stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1
    ) as new:  # fmt: skip
        for info in old.infolist():
            content = bytes(600 << 20) if info.filename.endswith("data/0") else old.read(info)
            new.writestr(info.filename, content)
    bundle(tmp_path, weights=stream.getvalue())
    refused(lambda: load_bundle(tmp_path, 1), Fault, "model.pt", match="no weights of the")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(tmp_path, value):
    state = VBNet(**SMALL).state_dict()
    next(iter(state.values()))[0] = value
    stream = io.BytesIO()
    torch.save(state, stream)
    bundle(tmp_path, weights=stream.getvalue())
    refused(lambda: load_bundle(tmp_path, 1), Fault, "model.pt", match="not finite")


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def evil_weights(kind, mark):
    if kind == "plain pickle":
        return pickle.dumps(Evil(mark), protocol=2)
    stream = io.BytesIO()
    # as large as the network wants: the file is not turned away by its size alone
    state = {"w": Evil(mark), "more": torch.zeros(len(WEIGHTS))}
    torch.save(state, stream, _use_new_zipfile_serialization=kind == "zip")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["zip", "legacy", "plain pickle"])
def test_pickled_code_is_not_run(tmp_path, kind):
    mark = tmp_path / "mark"
    bundle(tmp_path, weights=evil_weights(kind, mark))
    why = {"zip": "UnpicklingError", "legacy": "mmap", "plain pickle": "more than the file"}[kind]
    refused(lambda: load_bundle(tmp_path, 1), Fault, "model.pt", match=f"no weights of .*{why}")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists(), "the trap works"


@pytest.mark.parametrize(
    "target",
    [
        {"_target_": "os.system", "command": "touch '{mark}'"},
        "$__import__('os').system('touch {mark}')",
        {"_target_": NETWORK, **SMALL, "bottleneck": "$__import__('os').system('touch {mark}')"},
        {"_target_": "glymph.networks.vbnet.Residual"},
    ],
)
def test_code_in_the_configuration_is_not_run(tmp_path, target):
    mark = tmp_path / "mark"
    text = json.dumps(INFERENCE | {"network_def": target}).replace("{mark}", str(mark))
    bundle(tmp_path, inference=text.encode())
    refused(lambda: load_bundle(tmp_path, 1), Fault, tmp_path, match="_target_|no weights")
    assert not mark.exists()


@fuzz(100)
@given(images())
def test_masks(tmp_path, image):
    path = tmp_path / f"mask{image[1]}"
    path.write_bytes(image[0])
    found = survives(lambda: load_mask(path), BadInput, path)
    if not isinstance(found, str):
        assert set(np.unique(found.dataobj)) <= {0, 1}
        np.linalg.inv(found.affine)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ([("dim", 0, 4), ("dim", 3, 4), ("dim", 4, 2)], "3 axes are needed"),
        ([("srow_x", 1, 2.0), ("srow_y", 1, 0.0)], "parallel"),
        ([("srow_x", 0, 0.0)], "voxel size is zero"),
        ([("srow_x", 3, np.nan)], "not finite"),
        ([("dim", 2, 9000)], "promises"),
    ],
)
def test_masks_that_cannot_be_used(tmp_path, changes, match):
    path = tmp_path / "mask.nii"
    path.write_bytes(with_fields(image_bytes(), changes))
    refused(lambda: load_mask(path), BadInput, path, match=match)


def test_a_mask_with_nan_outside_is_a_mask(tmp_path):
    data = np.full((5, 5, 5), np.nan, np.float32)
    data[2, 2, 2] = 1
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "mask.nii.gz")
    assert np.asanyarray(load_mask(tmp_path / "mask.nii.gz").dataobj).sum() == 1


@fuzz(40)
@given(images(), st.sampled_from(["t1w", "gm", "wm"]))
def test_template(tmp_path, image, name):
    paths = {n: tmp_path / f"{n}.nii" for n in ("t1w", "gm", "wm")}
    for path in paths.values():
        path.write_bytes(image_bytes())
    paths[name] = tmp_path / f"odd{image[1]}"
    paths[name].write_bytes(image[0])
    survives(lambda: load_template(paths), BadInput, *paths.values())


@pytest.mark.parametrize("value", [np.nan, 0])
def test_an_empty_template_is_refused(tmp_path, value):
    paths = {n: tmp_path / f"{n}.nii" for n in ("t1w", "gm", "wm")}
    for path in paths.values():
        path.write_bytes(image_bytes())
    nib.save(nib.Nifti1Image(np.full((6, 7, 8), value, np.float32), np.eye(4)), paths["gm"])
    refused(lambda: load_template(paths), BadInput, paths["gm"], match="empty or not finite")


@fuzz(40)
@given(st.binary(max_size=20) | JSON.map(lambda v: json.dumps(v).encode()))
@example(b"[" * 100_000)
@example(b'{"reason": "x", "more": 1}')
def test_what_begins_like_a_stop_is_none(tmp_path, content):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"GLYMPH-STOP " + content)
    assert read_stop(path) is None


@fuzz(50)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=4), st.integers(0, 3))
def test_bounding_box_is_that_of_all_places(places, margin):
    mask = np.zeros((6, 6, 6), bool)
    mask[tuple(np.array(places).T)] = True
    found = np.argwhere(mask)
    low = np.maximum(found.min(axis=0) - margin, 0)
    high = np.minimum(found.max(axis=0) + margin + 1, 6)
    assert bounding_box(mask, margin) == tuple(map(slice, low.tolist(), high.tolist()))
