"""Head motion and eddy currents by FSL: eddy, and eddy_correct for series that it cannot take."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput, short
from glymph.common.fsl import call, eddy_to_world, flirt_to_world, phase_vector, put
from glymph.common.gradients import GradientTable, read_fsl, write_fsl
from glymph.common.images import array, load
from glymph.common.sidecars import metadata, phase_encoding

SHORTEST_S, LONGEST_S = 0.01, 0.2
"""What eddy accepts as total read-out time."""
OTHERWISE = "or set dwi.motion to eddy_correct or ants"
ECCLOG_MATRIX = re.compile(r"Final result:\s*\n((?:[^\n]+\n){4})")
"""What flirt printed of each volume, in eddy_correct's log."""


def acquisition(files: dict[str, str], affine: np.ndarray) -> str:
    """The line of eddy's acqparams of a series: phase-encoding vector, read-out time in seconds.

    ``files`` names dwi and, where it exists, json. Raises `BadInput` for what eddy cannot take.
    """
    paths = [files[kind] for kind in ("dwi", "json") if kind in files]
    if "json" not in files:
        raise BadInput(
            "it has no JSON, and eddy needs PhaseEncodingDirection and TotalReadoutTime",
            files["dwi"], f"write one with both, {OTHERWISE}",
        )  # fmt: skip
    source = files["json"]
    direction = phase_encoding(*paths)
    if direction is None or direction.startswith("k"):
        stated = "missing" if direction is None else f"{direction}, the third axis"
        raise BadInput(
            f"PhaseEncodingDirection is {stated}; eddy needs i or j", source,
            f"correct it, {OTHERWISE}",
        )  # fmt: skip
    seconds = metadata(*paths).get("TotalReadoutTime")
    if not isinstance(seconds, (int, float)) or not SHORTEST_S <= seconds <= LONGEST_S:
        raise BadInput(
            f"TotalReadoutTime is {short(repr(seconds))}; eddy needs {SHORTEST_S} to {LONGEST_S} s",
            source, f"state it in seconds (0.05 will do for one series alone), {OTHERWISE}",
        )  # fmt: skip
    vector = phase_vector(direction, affine)
    return " ".join(str(int(value)) for value in vector) + f" {seconds:g}\n"


def eddy(
    data: np.ndarray,
    affine: np.ndarray,
    table: GradientTable,
    mask: np.ndarray,
    files: dict[str, str],
    threads: int,
) -> tuple[np.ndarray, GradientTable, np.ndarray]:
    """Corrected series, its turned table, and the head's pose in each volume.

    ``data`` is (x, y, z, volume), ``files`` as in `acquisition`. The series is float32 on its grid,
    resampled by eddy to the first b = 0 volume; the poses (n, 4, 4) map that volume's world points
    to each volume's. Raises `BadInput`.

    Source: Andersson and Sotiropoulos 2016 (10.1016/j.neuroimage.2015.10.019).
    """
    from fsl.wrappers import eddy as command

    line = acquisition(files, affine)
    with tempfile.TemporaryDirectory(prefix="eddy_") as folder:
        given = _write_series(data, affine, table, folder)
        given |= {
            "mask": put(nib.Nifti1Image(mask.astype(np.float32), affine), f"{folder}/mask.nii.gz"),
            "acqp": _write(line, f"{folder}/acqparams.txt"),
            "index": _write(" ".join("1" for _ in table.bvals), f"{folder}/index.txt"),
            "out": f"{folder}/out",
        }
        order = ("imain", "mask", "index", "acqp", "bvecs", "bvals", "out")
        call(
            command, *(given[name] for name in order), ref_scan_no=_first_b0(table), nthr=threads,
            dont_mask_output=True, initrand=True,
        )  # fmt: skip
        out = given["out"]
        moved = array(load(f"{out}.nii.gz"))
        turned = read_fsl(given["bvals"], f"{out}.eddy_rotated_bvecs", affine, len(table))
        parameters = np.loadtxt(f"{out}.eddy_parameters", ndmin=2)
    return moved, turned, eddy_to_world(parameters, nib.Nifti1Image(data[..., 0], affine))


def eddy_correct(data: np.ndarray, affine: np.ndarray, table: GradientTable) -> np.ndarray:
    """World maps (n, 4, 4) of the first b = 0 volume's points to each volume's, by eddy_correct.

    It runs FLIRT with twelve degrees of freedom on each volume of ``data`` (x, y, z, volume). Its
    matrices are taken and its images left: they are resampled linearly, and once too often.
    """
    from fsl.utils.run import runfsl

    with tempfile.TemporaryDirectory(prefix="eddy_correct_") as folder:
        series = _write_series(data, affine, table, folder)["imain"]
        call(runfsl, "eddy_correct", series, f"{folder}/out", _first_b0(table))
        matrices = read_ecclog(Path(f"{folder}/out.ecclog").read_text(encoding="utf-8"))
    if len(matrices) != len(table):
        raise RuntimeError(f"eddy_correct: {len(matrices)} matrices of {len(table)} volumes")
    image = nib.Nifti1Image(data[..., 0], affine)
    return np.linalg.inv([flirt_to_world(matrix, image, image) for matrix in matrices])


def read_ecclog(text: str) -> list[np.ndarray]:
    """The FLIRT matrices, volume to reference, in the log of eddy_correct."""
    return [np.array(found.split(), float).reshape(4, 4) for found in ECCLOG_MATRIX.findall(text)]


def _write_series(data, affine, table: GradientTable, folder: str) -> dict[str, str]:
    """The series as FSL's files: imain, bvals, bvecs."""
    paths = {"bvals": f"{folder}/bvals", "bvecs": f"{folder}/bvecs"}
    write_fsl(table, paths["bvals"], paths["bvecs"], affine)
    return paths | {"imain": put(nib.Nifti1Image(data, affine), f"{folder}/series.nii.gz")}


def _write(text: str, path: str) -> str:
    Path(path).write_text(text, encoding="utf-8")
    return path


def _first_b0(table: GradientTable) -> int:
    return int(np.flatnonzero(table.is_b0)[0])
