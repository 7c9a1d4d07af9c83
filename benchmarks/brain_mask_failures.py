"""Which failed brain masks of real heads are noticed, and whether sound ones are left alone.

    PYTHONPATH=workflow python benchmarks/brain_mask_failures.py [--data ../shared/realdata]

Takes the mask of the default engine of every T1w (of a stripped one what it holds), damages it in
fourteen ways, and asks what the workflow asks of a mask: its volume, the second engine, the image's
border, the template. Prints per mask the flags that the registry's ranges give, and whether the
subject would be refused. Skips with a reason where there are no data. Writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt

from glymph.anat import brain, mask_check
from glymph.anat.deepbet import second_to
from glymph.common.errors import BadInput
from glymph.common.images import array, load
from glymph.common.spaces import apply_affine, voxel_sizes
from glymph.common.template import load_template
from glymph.metrics.flags import flags

ENGINE = "deepbet"
SETTINGS = {"brain": ENGINE, "brain_model": None, "bet_intensity": 0.5}


def failures(mask: np.ndarray, affine: np.ndarray, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Damaged copies of ``mask`` (bool, x, y, z) by name; what is cut or added is placed in
    millimetres of the template, whose points ``matrix`` maps to those of the head."""
    sizes = voxel_sizes(affine)
    index = np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(apply_affine(np.linalg.inv(matrix) @ affine, index), -1, 0)
    near = distance_transform_edt(~mask, sampling=sizes)
    deep = distance_transform_edt(mask, sampling=sizes)
    eyes = np.minimum((x - 32) ** 2, (x + 32) ** 2) + (y - 58) ** 2 + (z + 38) ** 2 < 14**2
    neck = (x**2 + (y + 45) ** 2 < 35**2) & (z < -60) & (z > -120)
    face = (np.abs(x) < 60) & (y > 0) & (y < 90) & (z < -20) & (z > -100)
    return {
        "eroded by 6 mm": deep > 6,
        "dilated by 8 mm": near <= 8,
        "cerebellum cut": mask & ~((y < -40) & (z < -18)),
        "brain stem cut": mask & ~((np.abs(x) < 25) & (y > -48) & (y < 0) & (z < -22)),
        "left temporal lobe cut": mask & ~((x < -28) & (y > -35) & (z < -8)),
        "frontal lobes cut": mask & ~(y > 40),
        "top cut by 2 cm": mask & ~(z > 60),
        "left hemisphere only": mask & (x < 0),
        "scalp on the right side": mask | ((near <= 14) & (x > 0) & (z > -40)),
        "eyes and neck kept": mask | eyes | neck,
        "whole head": (near <= 16) | face | neck,
        "shifted by 15 mm": _shifted(mask, affine, np.array([0, 15.0, 0])),
        "upside down": _upside_down(mask, affine),
        "other orientation": _shifted(mask, affine, turn=True),
    }


def _shifted(mask, affine, by=(0.0, 0.0, 0.0), turn: bool = False) -> np.ndarray:
    """``mask`` moved ``by`` mm in the world, or its y and z exchanged about its middle."""
    index = np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), axis=-1)
    world = apply_affine(affine, index) - np.asarray(by)
    if turn:
        middle = apply_affine(affine, np.argwhere(mask).mean(axis=0))
        world = (world - middle)[..., [0, 2, 1]] + middle
    return _sampled(mask, affine, world)


def _upside_down(mask, affine) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), axis=-1)
    world = apply_affine(affine, index)
    world[..., 2] = 2 * apply_affine(affine, np.argwhere(mask).mean(axis=0))[2] - world[..., 2]
    return _sampled(mask, affine, world)


def _sampled(mask, affine, world) -> np.ndarray:
    index = np.round(apply_affine(np.linalg.inv(affine), world)).astype(int)
    seen = ((index >= 0) & (index < mask.shape)).all(axis=-1)
    found = np.zeros(mask.shape, bool)
    found[seen] = mask[tuple(index[seen].T)]
    return found


def judged(mask, other, head, template) -> tuple[dict, list[str], str]:
    """(metrics, flagged ones, why it is refused or "") of a mask that an engine had made."""
    metrics = mask_check.compare(mask, other)
    refused = ""
    try:
        brain.check_volume(mask, head.affine, ENGINE, "T1w")
        mask_check.refuse_overlap(metrics, "both engines", "T1w")
        metrics |= mask_check.against_template(mask, head, template)
        mask_check.refuse_shares(metrics, "T1w")
    except BadInput as error:
        refused = error.stop.reason
    return metrics, [flag["metric"] for flag in flags(metrics)], refused


def told(name: str, kind: str, mask, other, head, template) -> bool:
    """Print one line about a mask; whether it was noticed."""
    metrics, flagged, refused = judged(mask, other, head, template)
    numbers = " ".join("n/a" if v is None else f"{v:.3f}" for v in metrics.values())
    verdict = f"refused: {refused}" if refused else ", ".join(flagged) or "nothing"
    print(name, kind, verdict, numbers, sep="\t", flush=True)
    return bool(flagged or refused)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/realdata"))
    parser.add_argument("--subjects", nargs="+", help="only these, as sub-01")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    paths = [
        path
        for path in sorted(chosen.data.glob("sub-*/anat/*_T1w.nii.gz"))
        if path.name.split("_")[0] in (chosen.subjects or [path.name.split("_")[0]])
    ]
    if not paths:
        sys.exit(f"skipped: no T1w in {chosen.data} (give another folder with --data)")
    template, caught, alarms, count = load_template(None), 0, 0, 0
    for path in paths:
        name, raw = path.name.split("_")[0], load(path)
        raw = nib.Nifti1Image(array(raw).reshape(raw.shape[:3]), raw.affine)
        head = nib.Nifti1Image(brain.correct_bias(raw), raw.affine)
        given = (head, SETTINGS, None, str(path), chosen.threads)
        mask, made_by = brain.brain_mask(*given, raw)
        other = brain.second_mask(second_to(ENGINE), head, raw, *given[1:2], *given[3:])
        alarms += told(name, f"sound ({made_by})", mask, other, head, template)
        matrix, similarity = mask_check.lay(head, mask, template)
        print(f"{name}\ttemplate laid on the head with a correlation of {similarity:.2f}")
        for kind, damaged in failures(mask, head.affine, matrix).items():
            caught += told(name, kind, damaged, other, head, template)
            count += 1
    print(f"caught {caught}/{count}; sound masks flagged {alarms}/{len(paths)}")


if __name__ == "__main__":
    main()
