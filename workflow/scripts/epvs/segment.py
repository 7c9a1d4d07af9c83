"""Segment perivascular spaces (rule epvs_segment)."""

from dataclasses import asdict
from pathlib import Path

from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.epvs.segment import segment


def main(snakemake):
    source, params, out = snakemake.input, snakemake.params, snakemake.output
    t1w = load(source.t1w)
    t2w = array(load(source.t2w)) if Path(source.t2w).stat().st_size else None
    found, made_by, reading = segment(
        t1w, t2w, array(load(source.labels), "uint8"), params.engine, params.model,
        params.frangi_threshold, next(iter(source.provided), None), snakemake.threads,
    )  # fmt: skip
    settings = {"engine": params.engine, "model": made_by}
    about = stamp([source.t1w, source.t2w], settings, Reading=asdict(reading))
    save(found, t1w.affine, out.probability, about)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
