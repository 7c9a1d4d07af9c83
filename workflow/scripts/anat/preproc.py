"""N4 and brain extraction of a T1w (rule anat_preproc)."""

import nibabel as nib
import numpy as np

from glymph.anat.brain import brain_mask, correct_bias
from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp


def main(snakemake):
    source, params = snakemake.input.t1w, snakemake.params
    raw = load(source)
    raw = nib.Nifti1Image(array(raw).reshape(raw.shape[:3]), raw.affine)
    corrected = nib.Nifti1Image(correct_bias(raw), raw.affine)
    settings = dict(params.settings)
    provided = next(iter(snakemake.input.mask), None)
    mask, made_by = brain_mask(corrected, settings, provided, source, snakemake.threads, raw)
    about = stamp([source], {"bias": "N4"}, SkullStripped=made_by == "already stripped")
    save(array(corrected), raw.affine, snakemake.output.t1w, about)
    save(
        mask.astype(np.uint8),
        raw.affine,
        snakemake.output.mask,
        stamp([source], settings, params.fsl, Type="Brain", MadeBy=made_by),
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
