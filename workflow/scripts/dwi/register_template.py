"""Register b = 0 to the template, for a unit without T1w (rule dwi_register_template)."""

from glymph.common.images import array, load, write_json
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.template import load_template
from glymph.dwi.register import b0_to_template


def main(snakemake):
    source, out = snakemake.input, snakemake.output
    b0, mask = load(source.b0), array(load(source.mask)) > 0
    template = load_template(snakemake.params.template)
    files = {name: out[name] for name in ("affine", "warp", "inverse_warp")}
    similarity = b0_to_template(array(b0), mask, b0.affine, template.t1w, files)
    facts = {"metrics": {"dwi_anat_similarity": similarity}}
    write_json(facts | stamp([source.b0], {}), out.facts)


if __name__ == "__main__":
    run(main, snakemake)
