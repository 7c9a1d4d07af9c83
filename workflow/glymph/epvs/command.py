"""Perivascular spaces or lesions by a program of the lab's own (`epvs.engine: command`,
`epvs.lesion_command`)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput, Fault, short
from glymph.common.given import volume
from glymph.common.images import array, load, save, spatial
from glymph.common.spaces import read_itk_affine
from glymph.epvs.command_line import (
    MAYBE,
    PLACEHOLDER,
    SHELL,
    WIDTH,
    Command,
    fill,
    named,
    programs,
)
from glymph.epvs.maps import SPACES, Kind, on_grid
from glymph.epvs.prepare import Grid, resample

UNUSABLE = 65
"""Exit status (EX_DATAERR of sysexits.h) of a program that cannot use these images."""


class CommandError(Exception):
    """What the command did wrong, without its name."""


def segment(
    command: Command,
    images: dict[str, str],
    labels: nib.Nifti1Image,
    threads: int,
    log: str,
    kind: Kind = SPACES,
) -> tuple[np.ndarray, dict]:
    """What the command marks: (float32, see `maps.on_grid`; what the sidecar says).

    ``images`` maps placeholders to the files that this subject has; ``flair_matrix`` leads from
    T1w world points to those of ``flair_native``. ``labels``: regions at 1 mm; ``log`` names the
    file that this process's output goes to; ``kind``: what is marked. Raises `BadInput` where an
    image is missing that the command names or the program ends with 65, and `Fault` where it fails,
    or its result is none.
    """
    template = command.template
    _need_images(command, images)
    with tempfile.TemporaryDirectory(prefix="glymph_command_") as folder:
        values = {name: os.path.abspath(path) for name, path in images.items()}
        scratch = Path(folder, "scratch")
        scratch.mkdir()
        values |= {"folder": str(scratch), "output": str(Path(folder, "result.nii.gz"))}
        if "flair" in named(template) and "flair_native" in images:
            values["flair"] = _flair_on_grid(images, labels, Path(folder, "flair.nii.gz"))
        line = fill(template, values | {"threads": str(threads)})
        try:
            _run(command.key, line, images["t1w"], log)
            found, result = _result(values["output"], labels, command.threshold, kind)
        except CommandError as error:
            raise Fault(
                f"the command of {command.key} ({short(template, WIDTH)}) {error}", log,
                f"read this log; correct the program or {command.key}. Where images are at "
                f"fault, let the program end with {UNUSABLE}, or leave the subject out (exclude)",
            ) from None  # fmt: skip
    program = next(map(os.path.abspath, programs(template)), None)
    return found, {"program": program, "line": line, "result": result}


def _need_images(command: Command, images: dict[str, str]) -> None:
    """`BadInput` where the subject lacks the scan that a placeholder without ``?`` stands for."""
    for match in PLACEHOLDER.finditer(command.template):
        scan = MAYBE.get(match["name"])
        there = match["name"] in images or (match["name"] == "flair" and "flair_native" in images)
        if scan and not match["optional"] and not there:
            raise BadInput(
                f"there is no {scan}, and {command.key} needs {match[0]}", images["t1w_native"],
                f"add the {scan}, or give a command that does without and name it "
                f"{{{match['name']}?}}",
            )  # fmt: skip


def _flair_on_grid(images: dict[str, str], labels: nib.Nifti1Image, path: Path) -> str:
    """The FLAIR resampled to the 1 mm grid, written to ``path``."""
    flair = load(images["flair_native"])
    flair = nib.Nifti1Image(spatial(flair), flair.affine)
    matrix = read_itk_affine(images["flair_matrix"])
    values, seen = resample(flair, Grid(labels.shape, labels.affine), matrix)
    save(np.where(seen, values, np.float32(0)), labels.affine, path)
    return str(path)


def _run(key: str, line: str, t1w: str, log: str) -> None:
    print(line, flush=True)
    code = subprocess.run([*SHELL, line], check=False, stdin=subprocess.DEVNULL).returncode
    if code == UNUSABLE:
        raise BadInput(
            f"the program of {key} cannot use these images (exit status {UNUSABLE})", t1w,
            f"read what it says in {log}",
        )  # fmt: skip
    if code:
        raise CommandError(f"was ended by signal {-code}" if code < 0 else f"ended with {code}")


def _result(
    path: str, labels: nib.Nifti1Image, threshold: float, kind: Kind
) -> tuple[np.ndarray, str]:
    """What the command wrote, read; whatever is wrong with it is the program's doing."""
    if not os.path.isfile(path):
        raise CommandError("ended well, but wrote nothing to {output}")
    try:
        image = volume(path)
        holes = int(np.isnan(array(image)).sum())
        if holes:
            raise BadInput(f"{holes} of its values are not a number (NaN)", path)
        return on_grid(image, path, labels, threshold, kind)
    except BadInput as problem:
        raise CommandError(f"wrote an {{output}} of no use: {problem.stop.reason}") from None
