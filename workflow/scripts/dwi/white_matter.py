"""Measure diffusion in the white matter as a whole (rule dwi_white_matter)."""

from glymph.common.images import array, load
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.template import load_template
from glymph.dwi.white_matter import normal_appearing, psmd


def main(snakemake):
    source = snakemake.input
    fa = load(source.fa)
    maps = {"fa": array(fa), "md": array(load(source.md))}
    template = load_template(snakemake.params.template)
    rigid = source.get("to_t1w")
    way = [(source.warp, False), (source.affine, False), *([(rigid, True)] if rigid else [])]
    metrics = psmd(maps, fa.affine, template, way)
    if source.get("wm"):
        wm = _with_affine(source.wm)
        lesions = _with_affine(source.lesions) if source.get("lesions") else None
        metrics |= normal_appearing(maps, fa.affine, wm, lesions, [(rigid, True)])
    write_json({"metrics": metrics} | stamp([source.fa, source.md], {}), snakemake.output.facts)


def _with_affine(path):
    image = load(path)
    return array(image), image.affine


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
