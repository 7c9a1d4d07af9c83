"""Files that are complete or absent: each is written beside its place and then moved there."""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd


def _move_in(path: Path, write):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    write(part)
    os.replace(part, path)


def write_text(path: Path, text: str):
    """Write a text file."""
    _move_in(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, content):
    """Write JSON, indented, refusing NaN."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_table(path: Path, rows):
    """Write a DataFrame or list of dicts as TSV with n/a for what is missing."""
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    write_text(path, table.to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n"))


def write_image(path: Path, data: np.ndarray, affine: np.ndarray, repetition_time=None):
    """Write NIfTI with sform and qform both set, code 1, in mm and s."""
    image = nib.Nifti1Image(np.ascontiguousarray(data), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    if repetition_time is not None and data.ndim == 4:
        image.header["pixdim"][4] = repetition_time
    _move_in(path, lambda part: nib.save(image, part))
