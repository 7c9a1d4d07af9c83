"""Correct a diffusion series (rule dwi_correct)."""

import nibabel as nib
import numpy as np

from glymph.common.gradients import write_fsl
from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.tables import write_tsv
from glymph.dwi.correct import correct
from glymph.dwi.motion import summary


def main(snakemake):
    params, out = snakemake.params, snakemake.output
    brain = None
    if snakemake.input.t1w_brain:
        t1w, mask = map(load, snakemake.input.t1w_brain)
        brain = nib.Nifti1Image(array(t1w) * (array(mask) > 0), t1w.affine)
    done = correct(
        params.files, list(snakemake.input.opposite), brain, params.settings, snakemake.threads
    )
    save(done.data, done.affine, out.dwi)
    save(done.b0, done.affine, out.b0)
    save(done.mask.astype(np.uint8), done.affine, out.mask)
    write_fsl(done.table, out.bval, out.bvec, done.affine)
    write_tsv(done.motion, out.motion)
    metrics = summary(done.motion) | {
        "gradient_coherence_ratio": done.facts["gradient_check"]["ratio"],
        "dwi_directions": done.facts["directions"],
        "dwi_volumes_left_out": done.facts["volumes"] - len(done.facts["volumes_used"]),
    }
    facts = {"metrics": metrics, "SkullStripped": False, **done.facts}
    sources = list(params.files.values())
    write_json(facts | stamp(sources, dict(params.settings), params.fsl), out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
