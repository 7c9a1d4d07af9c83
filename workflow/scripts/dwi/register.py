"""Align b = 0 to the T1w (rule dwi_register)."""

import nibabel as nib

from glymph.common.images import array, load
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.spaces import write_itk_affine
from glymph.dwi.register import b0_to_t1w


def main(snakemake):
    source, params, out = snakemake.input, snakemake.params, snakemake.output
    b0, t1w = load(source.b0), load(source.t1w)
    brain = nib.Nifti1Image(array(t1w) * (array(load(source.t1w_mask)) > 0), t1w.affine)
    mask = array(load(source.mask)) > 0
    matrix, similarity = b0_to_t1w(array(b0), mask, b0.affine, brain, params.engine)
    write_itk_affine(out.affine, matrix)
    facts = {"metrics": {"dwi_anat_similarity": similarity}, "dwi_to_t1w": matrix}
    provenance = stamp([source.b0, source.t1w], {"engine": params.engine}, params.fsl)
    write_json(facts | provenance, out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
