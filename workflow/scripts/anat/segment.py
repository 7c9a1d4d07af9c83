"""Segment the tissues of a T1w brain (rule anat_segment)."""

from glymph.anat.tissue import segment, volumes
from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.template import load_template


def main(snakemake):
    source, params, out = snakemake.input, snakemake.params, snakemake.output
    t1w = load(source.t1w)
    tissue = segment(
        t1w,
        array(load(source.mask)) > 0,
        load_template(params.template),
        source.affine,
        source.inverse_warp,
        params.settings,
    )
    for name, probability in tissue.items():
        save(probability, t1w.affine, out[name])
    write_json(
        {"metrics": volumes(tissue, t1w.affine)} | stamp([source.t1w], dict(params.settings)),
        out.facts,
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
