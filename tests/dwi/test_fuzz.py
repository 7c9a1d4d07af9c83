"""Reverse-phase images and their sidecars: `BadInput` or what the correction can use.

GLYMPH_FUZZ draws more examples: see `tests.fuzzing`.
"""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glymph.common.errors import BadInput
from glymph.dwi import distortion
from tests.fuzzing import JSON, SHAPE, fuzz, images, survives

B0, AFFINE = np.ones(SHAPE, np.float32), np.diag([2.0, 2, 2, 1])


@pytest.fixture
def registered(monkeypatch):
    """What the registration is given; it is not run."""
    given_to = []

    def register(fixed, moving, affine, axis):
        given_to.append(moving)
        return np.zeros(SHAPE)

    monkeypatch.setattr(distortion, "_register_along", register)
    return given_to


@fuzz(60)
@given(images(), images((*SHAPE, 2)), st.booleans())
def test_reverse_images(tmp_path, registered, one, several, which):
    content, suffix = one if which else several
    path = tmp_path / f"reverse{suffix}"
    path.write_bytes(content)
    found = survives(lambda: distortion.from_reverse(B0, AFFINE, str(path), 1), BadInput, path)
    if not isinstance(found, str):
        assert np.isfinite(registered[-1]).all()


@fuzz(40)
@given(
    JSON.map(lambda v: json.dumps({"PhaseEncodingDirection": v}).encode())
    | JSON.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=40)
)  # fmt: skip
@example(b"[]")
@example(b"[" * 100_000)
@example(b'{"PhaseEncodingDirection": "j-"}')
def test_their_sidecars(tmp_path, content):
    path = tmp_path / "reverse.json"
    path.write_bytes(content)
    image = str(tmp_path / "reverse.nii.gz")
    found = survives(lambda: distortion.find_reverse([image], "j"), BadInput, path)
    assert (found == image) == (content == b'{"PhaseEncodingDirection": "j-"}')
