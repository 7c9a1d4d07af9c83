"""Compare the result with raters' masks (rule epvs_agreement)."""

import numpy as np

from glymph.common.given import mask_on
from glymph.common.images import array, load
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.epvs.agreement import all_pairs
from glymph.epvs.census import on_image


def main(snakemake):
    source = snakemake.input
    result, regions = load(source.mask), load(source.labels)
    labels = on_image(array(regions, np.uint8), regions.affine, result.shape, result.affine)
    raters = {
        name: mask_on(path, result, "the rater's mask")
        for name, path in zip(snakemake.params.raters, source.raters, strict=True)
    }
    rows = all_pairs(array(result) > 0, raters, labels, result.affine)
    about = stamp([source.mask, *source.raters], {"reference": snakemake.params.reference})
    write_json({"rows": rows} | about, snakemake.output.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
