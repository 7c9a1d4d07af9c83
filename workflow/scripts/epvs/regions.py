"""Find the EPVS regions of one brain (rule epvs_regions)."""

from glymph.common.images import load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.template import load_template
from glymph.epvs import regions


def main(snakemake):
    source, params, out = snakemake.input, snakemake.params, snakemake.output
    t1w = load(source.t1w)
    wanted = ("outlines", "csf", "gm", "wm", "provided")
    files = {name: path for name, path in source.items() if name in wanted}
    template = load_template(params.template)
    subject = regions.Subject(t1w, template, source.affine, source.inverse_warp, files)
    labels, made_by = regions.find(subject, params.engine, params.model, snakemake.threads)
    metrics = regions.volumes(labels, t1w.affine)
    if params.engine != "provided":
        metrics |= regions.roof_levels(subject.roofs)
    if params.compare:
        other = next(e for e in regions.ENGINES if e != params.engine)
        found, _ = regions.draw(subject, other, params.model, snakemake.threads)
        metrics |= regions.overlap(labels, found)
    settings = {"engine": params.engine, "model": made_by}
    save(labels, t1w.affine, out.labels, stamp([source.t1w], settings))
    write_json({"metrics": metrics} | stamp([source.t1w], settings), out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
