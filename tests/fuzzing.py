"""What the tests with made-up files share (`test_fuzz.py` of each stage).

The examples are the same in every run. To hunt for more, set GLYMPH_FUZZ to how many times as many
examples shall be drawn, at random: ``GLYMPH_FUZZ=50 pytest tests -k fuzz``.
"""

import contextlib
import gzip
import os
import resource
from datetime import timedelta
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TIMES = float(os.environ.get("GLYMPH_FUZZ", "0"))
MOST_MEMORY = 500 << 20
SHAPE = (6, 7, 8)


def fuzz(examples: int):
    """Settings of a test that runs this many examples."""
    return settings(
        max_examples=int(examples * (TIMES or 1)),
        derandomize=not TIMES,
        database=None,
        deadline=timedelta(seconds=10),
        suppress_health_check=list(HealthCheck),
    )


@contextlib.contextmanager
def little_memory():
    """Make allocations of more than `MOST_MEMORY` fail."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def survives(call, declared, *paths):
    """What ``call`` returns, or the message of its ``declared`` exception, which must name one of
    ``paths`` on one line. Any other exception, and much memory, fail the test."""
    try:
        with little_memory():
            return call()
    except declared as error:
        message = str(error)
    check_message(message, *paths)
    return message


def check_message(message: str, *paths):
    assert any(str(path) in message for path in paths), message
    assert "\n" not in message
    assert len(message) < 600 + max(len(str(path)) for path in paths), message
    assert "To do: " in message or "; " in message, f"no cure: {message}"
    assert "MemoryError" not in message


def refused(call, declared, *paths, match: str):
    """`survives` for what must be refused; ``match`` stands in the message."""
    with pytest.raises(declared, match=match) as caught, little_memory():
        call()
    check_message(str(caught.value), *paths)


NUMBERS = [0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 64, 255, 256, 348, 352, 512, 540, 768, 1024, 1536, 1792,
           2048, 2304, 32767, -32768, 2**31 - 1, -(2**31), 2**62, 1e-30, 1e-3, 0.5, 1e6, 1e30,
           np.nan, np.inf, -np.inf]  # fmt: skip


def image_bytes(shape=SHAPE, kind=nib.Nifti1Image, dtype="<i2", seed=0) -> bytes:
    """A sound uncompressed NIfTI file."""
    data = np.random.default_rng(seed).integers(1, 900, shape).astype(dtype)
    image = kind(data, np.diag([2.0, 2, 2, 1]))
    if np.dtype(dtype).byteorder == ">":
        image = kind(data, image.affine, image.header.as_byteswapped(">"))
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1)
    return image.to_bytes()


def _kind(content: bytes):
    return nib.Nifti2Header if nib.Nifti2Header.may_contain_header(content) else nib.Nifti1Header


def with_fields(content: bytes, changes) -> bytes:
    """A NIfTI file with header fields changed: (field, place in it, number or bytes)."""
    kind = _kind(content)
    header = kind(content[: kind.sizeof_hdr], check=False)
    block = np.frombuffer(header.binaryblock, header.structarr.dtype).copy()
    for field, place, value in changes:
        entry = block[field]
        if entry.dtype.kind == "S":
            block[field] = value if isinstance(value, bytes) else str(value).encode()
        elif not isinstance(value, bytes):
            entry.reshape(-1)[place % entry.size] = _fitting(value, entry.dtype)
    return block.tobytes() + content[kind.sizeof_hdr :]


def _fitting(value, dtype):
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.float64(value).astype(dtype)
    limits = np.iinfo(dtype)
    return int(np.clip(np.nan_to_num(value), limits.min, limits.max - (limits.max > 2**60) * 1024))


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """``content`` with bytes overwritten, and perhaps cut short or prolonged."""
    changed = bytearray(content)
    for place in draw(st.lists(st.integers(0, max(len(content) - 1, 0)), max_size=6)):
        if changed:
            piece = draw(st.binary(min_size=1, max_size=8))
            changed[place : place + len(piece)] = piece
    if draw(st.booleans()):
        changed = changed[: draw(st.integers(0, len(changed)))]
    return bytes(changed) + draw(st.sampled_from([b"", b"\0" * 9, b"\xff\xfe"]))


@st.composite
def images(draw, shape=SHAPE):
    """(content, suffix) of NIfTI files, from sound to hopeless."""
    kind = draw(st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]))
    dtype = draw(st.sampled_from(["<i2", ">i2", "<f4", "u1", "<f8"]))
    content = image_bytes(shape, kind, dtype)
    fields = [
        "dim", "pixdim", "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "sform_code",
        "qform_code", "quatern_b", "quatern_c", "qoffset_x", "srow_x", "srow_y", "srow_z", "magic",
        "sizeof_hdr", "intent_code", "slice_end", "xyzt_units",
    ]  # fmt: skip
    values = st.sampled_from(NUMBERS) | st.binary(max_size=8)
    change = st.tuples(st.sampled_from(fields), st.integers(0, 7), values)
    content = with_fields(content, draw(st.lists(change, max_size=4)))
    if draw(st.integers(0, 3)) == 0:  # an extension before the voxels
        size = draw(st.sampled_from([-8, 0, 8, 16, 17, 2**20, 2**31 - 1, -(2**31)]))
        code = draw(st.sampled_from([0, 2, 4, 6, 32, 44, 2**31 - 1]))
        place = _kind(content).sizeof_hdr
        extension = b"\1\0\0\0" + np.array([size, code], "<i4").tobytes() + b"<a>&b;</a>" * 3
        content = content[:place] + extension + content[place:]
    if draw(st.integers(0, 3)) == 0:
        content = draw(damaged(content))
    if draw(st.booleans()):
        return content, ".nii"
    content = gzip.compress(content, 1)
    if draw(st.integers(0, 2)) == 0:
        content = draw(damaged(content))
    return content, ".nii.gz"


WORDS = st.sampled_from(
    ["sub-01", "1", "01", "n/a", "", " ", "nan", "inf", "-1e999", "1_0", "٣", "é", "AD", '"', '"a',
     'a"b', "'", "\ufeff", "\u2028", "\r", "\x1a", "\0", "../..", "/", "a/b.nii.gz", "ses-1",
     "<script>alert(1)</script>", "=1+1", "$x$", "9" * 5000, "x" * 140_000]
) | st.text(max_size=8)  # fmt: skip
PLAIN = st.sampled_from(
    ["sub-01", "sub-02", "01", "x9", "n/a", "", " 3.5", "nan", "AD", "é", "a b"]
)
"""Cells that any table may hold."""


@st.composite
def tables(draw, columns: list[str], separator="\t"):
    """Bytes of tables: known and other columns, ragged rows, odd cells, line ends and encodings."""
    odd = draw(st.integers(0, 2)) == 0
    cells = WORDS if odd else PLAIN
    names = st.sampled_from(columns) | cells if odd else st.sampled_from(columns)
    header = draw(st.lists(names, max_size=6, unique=not odd))
    if columns[0] not in header and draw(st.integers(0, 5)):
        header = [columns[0], *header]
    width = len(header) + (1 if odd else 0)
    lines = [header, *draw(st.lists(st.lists(cells, max_size=width), max_size=5))]
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(separator.join(line) for line in lines) + draw(st.sampled_from(["", end]))
    codecs = ["utf-8", "utf-8-sig"] + (["latin-1", "utf-16"] if odd else [])
    content = text.encode(draw(st.sampled_from(codecs)), errors="replace")
    return draw(damaged(content)) if odd and draw(st.booleans()) else content


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS
    | st.sampled_from([10**400, "\ud800", float("nan")])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3),
    max_leaves=6,
)  # fmt: skip
"""Values of JSON."""
