"""Register a T1w brain to the template (rule anat_register)."""

import nibabel as nib

from glymph.anat import fnirt, mask_check, register
from glymph.anat.brain import BY_USER
from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import read_json, write_json
from glymph.common.template import load_template


def main(snakemake):
    params, out = snakemake.params, snakemake.output
    t1w, mask = load(snakemake.input.t1w), array(load(snakemake.input.mask)) > 0
    brain = nib.Nifti1Image(array(t1w) * mask, t1w.affine)
    template = load_template(params.template)
    checks = mask_check.against_template(mask, t1w, template)
    if read_json(snakemake.input.mask_json)["MadeBy"] not in BY_USER:
        mask_check.refuse_shares(checks, snakemake.input.mask)
    files = {name: out[name] for name in ("affine", "warp", "inverse_warp")}
    engine = fnirt if params.settings["engine"] == "fsl" else register
    facts = engine.register_to_template(brain, template, params.settings, files)
    size = params.settings["resolution_mm"]
    save(*register.to_template(brain, template, out.affine, out.warp, size), out.warped)
    facts["metrics"] |= checks
    write_json(facts | stamp([snakemake.input.t1w], dict(params.settings), params.fsl), out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
