"""Find the EPVS regions of one brain (rule epvs_regions)."""

from glymph.common.images import load, save, write_json
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.template import load_template
from glymph.epvs import regions


def main(snakemake):
    source, params, out = snakemake.input, snakemake.params, snakemake.output
    t1w = load(source.t1w)
    template = load_template(params.template)
    wanted = ("outlines", "gm", "wm", "provided")
    files = {name: path for name, path in source.items() if name in wanted}
    labels, made_by = regions.find(
        t1w, template, source.affine, source.inverse_warp, files,
        params.engine, params.model, snakemake.threads,
    )  # fmt: skip
    settings = {"engine": params.engine, "model": made_by}
    save(labels, t1w.affine, out.labels, stamp([source.t1w], settings))
    write_json({"metrics": regions.volumes(labels)} | stamp([source.t1w], settings), out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
