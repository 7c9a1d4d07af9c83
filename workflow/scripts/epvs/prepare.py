"""Bring T1w and T2w to 1 mm and [-1, 1] (rule epvs_prepare)."""

from pathlib import Path

from glymph.common.errors import BadInput
from glymph.common.images import load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.spaces import read_itk_affine
from glymph.epvs.prepare import prepare, voxels


def main(snakemake):
    source, out = snakemake.input, snakemake.output
    t2w = source.get("t2w")
    if t2w is None and snakemake.params.without_t2w == "skip":
        raise BadInput(
            "there is no T2w, and T1w-only results are turned off", source.t1w,
            "add the T2w, or set epvs.without_t2w to t1w_only",
        )  # fmt: skip
    t1w, second = load(source.t1w), load(t2w) if t2w else None
    done = prepare(
        t1w,
        load(source.mask),
        second,
        read_itk_affine(source.matrix) if t2w else None,
        t2w or source.t1w,
    )
    save(done.t1w, done.affine, out.t1w)
    save(done.mask.astype("uint8"), done.affine, out.mask)
    if done.t2w is None:
        Path(out.t2w).touch()  # an empty file: there is no T2w
    else:
        save(done.t2w, done.affine, out.t2w)
    sizes = voxels("t1w", t1w.affine) | voxels("t2w", second.affine if t2w else None)
    facts = {"metrics": {"epvs_t2w_coverage": done.coverage} | sizes, "epvs_input": done.input}
    write_json(facts | stamp([source.t1w, *([t2w] if t2w else [])], {}), out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
