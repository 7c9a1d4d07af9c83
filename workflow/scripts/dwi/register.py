"""Align b = 0 to the T1w (rule dwi_register)."""

import nibabel as nib

from glymph.common.images import array, load, write_json
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.spaces import write_itk_affine
from glymph.dwi.register import b0_to_t1w


def main(snakemake):
    source, out = snakemake.input, snakemake.output
    b0, t1w = load(source.b0), load(source.t1w)
    brain = nib.Nifti1Image(array(t1w) * (array(load(source.t1w_mask)) > 0), t1w.affine)
    matrix, similarity = b0_to_t1w(array(b0), array(load(source.mask)) > 0, b0.affine, brain)
    write_itk_affine(out.affine, matrix)
    facts = {"metrics": {"dwi_anat_similarity": similarity}, "dwi_to_t1w": matrix}
    write_json(facts | stamp([source.b0, source.t1w], {}), out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
