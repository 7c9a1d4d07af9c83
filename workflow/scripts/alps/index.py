"""Compute ALPS of one unit (rule alps_index)."""

from dataclasses import asdict

import numpy as np

from glymph.alps.index import Limits, Space, compute
from glymph.alps.roi import check_sides, load_rois
from glymph.common.errors import raised_in
from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.names import region_names
from glymph.common.provenance import stamp
from glymph.common.sidecars import write_json
from glymph.common.spaces import read_itk_affine, rotation_part
from glymph.common.tensors import as_matrices


def main(snakemake):
    source, settings = snakemake.input, snakemake.params.settings
    check_sides(load_rois(settings))
    corrections = dict(snakemake.params.corrections)
    maps = {name: array(load(source[name])) for name in ("fa", "md", "v1")}
    maps["tensor"] = as_matrices(array(load(source.tensor)))
    affine = load(source.fa).affine
    rigid = source.get("to_t1w")
    space = Space(
        affine,
        to_template=[*_step(rigid, False), (source.affine, True), (source.inverse_warp, False)],
        from_template=[(source.warp, False), (source.affine, False), *_step(rigid, True)],
        rotation=_rotation(rigid, source.affine),
    )
    found = compute(
        maps,
        space,
        load_rois(settings, corrections),
        reported_axes=settings["axes"],
        limits=Limits(
            *(settings[k] for k in ("min_coverage", "max_angle", "min_fa", "min_score"))
        ),  # fmt: skip
        reach=settings["search_mm"],
        reported_placement=settings["placement"],
    )
    provenance = stamp([source.tensor, source.affine, source.warp], dict(settings))
    provenance |= {"Corrections": corrections}
    facts = {
        "metrics": found.values,
        "registration": "T1w" if rigid else "b0 to the template (no T1w)",
        "placement_shifts_mm": found.shifts,
        "stops": [asdict(raised_in(stop, "alps_index")) for stop in found.stops],
    }
    write_json(facts | provenance, snakemake.output.facts)
    for placement, regions in found.regions.items():
        about = {"Regions": region_names(), "Placement": placement} | provenance
        save(regions, affine, snakemake.output[placement], about)


def _step(rigid, inverse):
    return [(rigid, inverse)] if rigid else []


def _rotation(rigid, affine) -> np.ndarray:
    """Rotation part of the whole linear transform from the DWI to the template."""
    to_t1w = read_itk_affine(rigid) if rigid else np.eye(4)
    return rotation_part((np.linalg.inv(read_itk_affine(affine)) @ to_t1w)[:3, :3])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
