"""N4 and brain extraction of a T1w (rule anat_preproc)."""

import nibabel as nib
import numpy as np

from glymph.anat import mask_check
from glymph.anat.brain import BY_USER, brain_mask, correct_bias, second_mask
from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json


def main(snakemake):
    source, params, out = snakemake.input.t1w, snakemake.params, snakemake.output
    raw = load(source)
    raw = nib.Nifti1Image(array(raw).reshape(raw.shape[:3]), raw.affine)
    corrected = nib.Nifti1Image(correct_bias(raw), raw.affine)
    settings, threads = dict(params.settings), snakemake.threads
    provided = next(iter(snakemake.input.mask), None)
    mask, made_by = brain_mask(corrected, settings, provided, source, threads, raw)
    other = second_mask(params.check, corrected, raw, settings, source, threads)
    metrics = mask_check.compare(mask, other)
    if made_by not in BY_USER:
        mask_check.refuse_overlap(metrics, f"{made_by} and {params.check}", source)
    about = stamp([source], {"bias": "N4"}, SkullStripped=made_by == "already stripped")
    save(array(corrected), raw.affine, out.t1w, about)
    details = {"Type": "Brain", "MadeBy": made_by, "Weights": dict(params.weights)}
    about = stamp([source], settings, params.fsl, **details)
    save(mask.astype(np.uint8), raw.affine, out.mask, about)
    write_json(
        {"metrics": metrics} | stamp([source], settings | {"check": params.check}), out.facts
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
