"""FSL: which engines need it, how its commands run, its coordinates in world ones and back.

FSL coordinates
    Voxel indices times voxel sizes, in mm, with x counted from the other end where the affine's
    determinant is positive. FLIRT's matrices, FNIRT's fields and eddy's parameters are in them.
FSL axes
    Their axes, in which bvecs, eigenvectors and dtifit's tensor are (`gradients.fsl_to_world`).

What fslpy converts is converted by fslpy. It is imported where it is used: a run of other engines
needs neither fslpy nor FSL.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput
from glymph.common.gradients import fsl_to_world
from glymph.common.images import array, save
from glymph.common.spaces import image_axes
from glymph.common.tensors import as_components, as_matrices

OLDEST = "6.0.6"
"""The first release made of conda packages: from it on the command is `eddy`, which finds a GPU by
itself and takes --nthr, and warp fields carry the affine of their grid."""
COMMANDS = {
    "anat.brain": {"fsl_bet": ("bet",)},
    "anat.registration.engine": {"fsl": ("flirt", "fnirt", "invwarp")},
    "dwi.motion": {"eddy": ("eddy",), "eddy_correct": ("eddy_correct", "flirt")},
    "dwi.register": {"flirt": ("flirt",)},
    "dwi.tensor": {"dtifit": ("dtifit",)},
}
"""Key of the configuration, engine of FSL, the commands that it runs."""
CURE = "set FSLDIR to an FSL of version {} or newer, or choose another engine"
STDERR_END = 1500
"""Characters of a failed command's stderr that are repeated in the exception."""


def engines(config: dict) -> dict[str, str]:
    """The engines of FSL that ``config`` chooses, by key."""
    found = {}
    for key, choices in COMMANDS.items():
        value = config
        for part in key.split("."):
            value = value[part]
        if value in choices:
            found[key] = value
    return found


def required_version(config: dict) -> str | None:
    """Version of the FSL at FSLDIR where ``config`` chooses an engine of it, otherwise None.

    Raises `BadInput` where FSL or a command is missing, or the version is below `OLDEST`.
    """
    chosen = engines(config)
    if not chosen:
        return None
    who = ", ".join(f"{key}: {engine}" for key, engine in chosen.items())
    if not os.environ.get("FSLDIR"):
        raise BadInput(f"{who} needs FSL, and FSLDIR is not set", cure=CURE.format(OLDEST))
    version = _version(who)
    if _numbers(version) < _numbers(OLDEST):
        raise BadInput(
            f"{who} needs FSL {OLDEST}, and FSLDIR has {version}", _home(), CURE.format(OLDEST)
        )
    commands = {name for key, engine in chosen.items() for name in COMMANDS[key][engine]}
    absent = sorted(name for name in commands if not (_home() / "bin" / name).is_file())
    if absent:
        raise BadInput(
            f"{who} needs commands that FSLDIR lacks: {', '.join(absent)}", _home() / "bin",
            "install the packages of FSL that hold them, or choose another engine",
        )  # fmt: skip
    return version


def _home() -> Path:
    return Path(os.environ["FSLDIR"])


def _version(who: str) -> str:
    """What stands before the colon in FSL's version file (``6.0.7.4`` or ``6.0.4:ddd0a010``)."""
    path = _home() / "etc" / "fslversion"
    try:
        version = path.read_text(encoding="utf-8").split(":")[0].strip()
    except (OSError, ValueError):
        version = ""
    if not _numbers(version):
        raise BadInput(
            f"{who} needs FSL, and FSLDIR holds no version of it", path, CURE.format(OLDEST)
        )
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def call(command: Callable, *args, **options) -> None:
    """Run the command of an fslpy wrapper, its line and output to this process's own output.

    ``args`` and ``options`` are the wrapper's, images and tables as file names. Raises RuntimeError
    with the command line and the end of its stderr where it fails, FileNotFoundError where FSLDIR
    has no such command.
    """
    from fsl.utils import run

    # Only to make the line: fslpy reads what a command prints as UTF-8, and FNIRT prints raw bytes.
    # Not fslpy's own search: it remembers the FSLDIR of its import, and prefers FSLDEVDIR.
    run.FSL_PREFIX = str(_home() / "bin")
    line = command(*map(str, args), **options, cmdonly=True)
    print(shlex.join(line), flush=True)
    done = subprocess.run(line, env=_environment(), capture_output=True, check=False)
    said, errors = (part.decode(errors="replace") for part in (done.stdout, done.stderr))
    print(said, errors, sep="", flush=True)
    if done.returncode:
        end = errors[-STDERR_END:].strip()
        raise RuntimeError(f"{shlex.join(line)} ended with {done.returncode}: {end}")


def _environment() -> dict[str, str]:
    """This process's environment, with what FSL's scripts count on; its python comes last."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(_home() / "bin")])
    return os.environ | {"FSLOUTPUTTYPE": "NIFTI_GZ", "PATH": path}


def upright(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """A 3D image with its axes in the order nearest to RAS; no voxel's world place changes.

    FLIRT looks for the head within 90 degrees of the image axes, and knows no world.
    """
    return nib.as_closest_canonical(nib.Nifti1Image(array(image), image.affine))


def put(image: nib.Nifti1Image, path: str | Path) -> str:
    """Write an image as FSL shall read it, sform and qform alike; returns the path."""
    save(array(image), image.affine, path)
    return str(path)


def flirt_to_world(
    matrix: np.ndarray, source: nib.Nifti1Image, reference: nib.Nifti1Image
) -> np.ndarray:
    """4x4 map of ``source`` to ``reference`` world points of a FLIRT ``matrix`` between the two."""
    from fsl.data.image import Nifti
    from fsl.transform.flirt import fromFlirt

    return fromFlirt(matrix, Nifti(source.header), Nifti(reference.header), "world", "world")


def fnirt_to_world(
    path: str | Path, source: nib.Nifti1Image, reference: nib.Nifti1Image
) -> np.ndarray:
    """World displacement (x, y, z, 3), in mm on ``reference``'s grid, of a field that FNIRT wrote.

    A point of the reference plus its displacement is the point of the source. FNIRT's --fout, which
    includes its affine, and invwarp's --out hold displacements, never coordinates.
    """
    from fsl.data.constants import FSL_FNIRT_DISPLACEMENT_FIELD
    from fsl.data.image import Nifti
    from fsl.transform.fnirt import fromFnirt, readFnirt

    field = readFnirt(
        str(path),
        Nifti(source.header),
        Nifti(reference.header),
        defType="relative",
        intent=FSL_FNIRT_DISPLACEMENT_FIELD,
    )
    return np.asarray(fromFnirt(field, "world", "world").data)


def world_to_fnirt(displacement: np.ndarray, reference: nib.Nifti1Image, path: str | Path) -> str:
    """Write a world ``displacement`` (x, y, z, 3) between points of one grid as FNIRT would.

    Returns the path.
    """
    from fsl.data.image import Nifti
    from fsl.transform.fnirt import toFnirt
    from fsl.transform.nonlinear import DeformationField

    grid = Nifti(reference.header)
    field = DeformationField(
        nib.Nifti1Image(displacement.astype(np.float32), reference.affine),
        src=grid, ref=grid, srcSpace="world", refSpace="world", defType="relative",
    )  # fmt: skip
    toFnirt(field).save(str(path))
    return str(path)


def eddy_to_world(parameters: np.ndarray, image: nib.Nifti1Image) -> np.ndarray:
    """World maps (n, 4, 4) from the reference's to each volume's points of eddy's parameters.

    ``parameters`` (n, 6 or more): three translations in mm, three rotations in radians about the
    grid's middle, in FSL coordinates (FSL's MovePar2Matrix, whose rotations are left-handed);
    what follows, the field of the eddy currents, is no motion.
    """
    from fsl.transform.affine import axisAnglesToRotMat, compose

    sizes = np.asarray(image.header.get_zooms()[:3], float)
    middle = (np.asarray(image.shape[:3]) - 1) * sizes / 2
    moves = [
        compose((1, 1, 1), row[:3], axisAnglesToRotMat(*row[3:6]).T, origin=middle)
        for row in parameters
    ]
    return np.array([flirt_to_world(move, image, image) for move in moves])


def phase_vector(direction: str, affine: np.ndarray) -> np.ndarray:
    """A BIDS PhaseEncodingDirection, which counts voxels as stored, as unit vector in FSL axes."""
    axis = image_axes(affine)[:, "ijk".index(direction[0])]
    return np.round((-1 if direction.endswith("-") else 1) * axis @ fsl_to_world(affine))


def vectors_to_world(vectors: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) in FSL axes of the grid ``affine`` in world axes."""
    return vectors @ fsl_to_world(affine).T


def tensors_to_world(components: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Tensor components (..., 6) in FSL axes of the grid ``affine`` in world axes."""
    turn = fsl_to_world(affine)
    return as_components(turn @ as_matrices(components) @ turn.T)
