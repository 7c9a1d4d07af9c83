"""Register FA to the template's white matter (rule dwi_register_fa)."""

from glymph.common.images import array, load, write_json
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.template import load_template
from glymph.dwi.register import fa_to_template


def main(snakemake):
    out = snakemake.output
    fa = load(snakemake.input.fa)
    template = load_template(snakemake.params.template)
    files = {name: out[name] for name in ("affine", "warp", "inverse_warp")}
    similarity = fa_to_template(array(fa), fa.affine, template.wm, files)
    facts = {"metrics": {"dwi_anat_similarity": similarity}}
    write_json(facts | stamp([snakemake.input.fa], {}), out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
