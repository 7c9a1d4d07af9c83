"""Align a T2w or FLAIR to the T1w (rule epvs_align)."""

import nibabel as nib
import numpy as np

from glymph.common.images import array, load, spatial
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.spaces import write_itk_affine
from glymph.epvs.align import align


def main(snakemake):
    source, kind = snakemake.input.image, snakemake.wildcards.kind
    t1w, moving = load(snakemake.input.t1w), load(source)
    brain = nib.Nifti1Image(array(t1w) * (array(load(snakemake.input.mask)) > 0), t1w.affine)
    moving = nib.Nifti1Image(np.clip(spatial(moving), 0, None), moving.affine)
    matrix, facts = align(moving, brain, source)
    write_itk_affine(snakemake.output.matrix, matrix)
    metrics = {f"{kind.lower()}_alignment_information": facts["information"]}
    write_json({"metrics": metrics, **facts} | stamp([source], {}), snakemake.output.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
