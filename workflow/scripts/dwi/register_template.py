"""Register b = 0 and FA to the template, for a unit without T1w (rule dwi_register_template)."""

from glymph.common.images import array, load
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.template import load_template
from glymph.dwi.register import to_template


def main(snakemake):
    source, out = snakemake.input, snakemake.output
    b0, fa, mask = load(source.b0), array(load(source.fa)), array(load(source.mask)) > 0
    template = load_template(snakemake.params.template)
    files = {name: out[name] for name in ("affine", "warp", "inverse_warp")}
    metrics = to_template(array(b0), fa, mask, b0.affine, template, files)
    write_json({"metrics": metrics} | stamp([source.b0, source.fa], {}), out.facts)


if __name__ == "__main__":
    run(main, snakemake)
