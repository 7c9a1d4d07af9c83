"""Count and measure perivascular spaces (rule epvs_census)."""

from functools import partial

import numpy as np

from glymph.common.given import volume
from glymph.common.images import array, load, save
from glymph.common.job import run
from glymph.common.provenance import stamp
from glymph.common.sidecars import read_json, write_json
from glymph.common.spaces import map_points
from glymph.common.tables import write_tsv
from glymph.epvs import census, quality
from glymph.epvs.content import with_fluid
from glymph.epvs.fluid import parts_of_csf
from glymph.epvs.lesions import find_lesions, like_lesions, shown
from glymph.epvs.lesions import volumes as lesion_volumes
from glymph.epvs.maps import corrected_on

SHOW_LESIONS = ("flair", "matrix", "lesion_mask", "lesion_map", "wm", "gm")


def main(snakemake):
    source, out = snakemake.input, snakemake.output
    probability, t1w = load(source.probability), load(source.t1w)
    labels = array(load(source.labels), np.uint8)
    affine, found = probability.affine, array(probability)
    lesions = find_lesions(
        {k: path for k, path in source.items() if k in SHOW_LESIONS},
        labels, affine, snakemake.params.flair_deviations,
    )  # fmt: skip
    reading = census.Reading(**read_json(source.sidecar)["Reading"])
    objects = census.find_objects(found, labels, affine, lesions.with_border, reading)
    way = [(source.affine, True), (source.inverse_warp, False)]
    to_template = partial(map_points, transforms=way)
    t1w_1mm, brain = array(load(source.norm_t1w)), array(load(source.brain)) > 0
    brain_volume = read_json(source.tissue)["metrics"]["brain_volume_mm3"]
    prepared = read_json(source.prepared)
    has_t2w = prepared["epvs_input"] == "T1w+T2w"
    t2w_1mm = array(load(source.norm_t2w)) if has_t2w else None
    left_out = dict.fromkeys(
        ("epvs_part_of_csf_count", "epvs_unlike_csf_count", "epvs_lesion_like_share")
    )
    least = None
    if snakemake.params.engine != "provided":
        fluid = parts_of_csf(objects, t1w_1mm, brain, labels, affine, to_template)
        objects, left_out["epvs_part_of_csf_count"] = census.without(objects, fluid), sum(fluid)
    if snakemake.params.engine != "provided" and has_t2w:
        least = snakemake.params.csf_likeness
        pair = shown(t1w_1mm, t2w_1mm, brain, labels)
        unlike, left_out["epvs_lesion_like_share"] = like_lesions(objects, pair, labels, least)
        objects, left_out["epvs_unlike_csf_count"] = census.without(objects, unlike), sum(unlike)
    numbers = census.mask_of(objects, labels.shape)
    for corrected in source.corrected:
        mask = corrected_on(volume(corrected), corrected, numbers, load(source.labels))
        known = (lesions.with_border, reading)
        objects = census.find_corrected(found, labels, affine, *known, mask)
        numbers = census.mask_of(objects, labels.shape)
    save(numbers, affine, out.labels)
    known = np.zeros(labels.shape, bool) if lesions.mask is None else lesions.mask
    save(known.astype(np.uint8), affine, out.lesions)
    others = census.not_counted(found, labels, numbers, reading)
    save(others.astype(np.uint8), affine, out.not_counted)
    own = census.on_image(numbers, affine, t1w.shape[:3], t1w.affine)
    settings = {"lesions": lesions.made_by, "csf_likeness": least}
    about = stamp([source.probability, source.labels, *source.corrected], settings)
    save((own > 0).astype(np.uint8), t1w.affine, out.mask, about)
    no_object = others | census.elsewhere(found, labels, reading)
    objects = with_fluid(objects, no_object, t1w_1mm, t2w_1mm, brain, labels, affine)
    rows = census.table(objects, affine, to_template)
    write_tsv(rows, out.objects, list(census.TABLE_COLUMNS))
    write_json({k: {"Description": v} for k, v in census.TABLE_COLUMNS.items()}, out.objects_json)
    facts = {
        "metrics": census.metrics(objects, labels, affine, brain_volume, snakemake.params.total)
        | left_out
        | lesion_volumes(lesions, labels, affine)
        | quality.measure(t1w_1mm, t2w_1mm, brain, labels),
        "epvs_input": prepared["epvs_input"],
        "epvs_lesions": lesions.made_by,
    }
    write_json(facts | about, out.facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
