"""What the page of one unit shows, with the words beside it, and the thumbnails of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to

from glymph.common.images import array, load, spatial
from glymph.common.names import region_names
from glymph.common.sidecars import read_json
from glymph.common.spaces import read_itk_affine
from glymph.common.tables import read_tsv
from glymph.common.template import load_template
from glymph.qc import figures, thumbnails
from glymph.qc.closeup import closeups
from glymph.qc.page import Closeup, Figure
from glymph.qc.panels import matched


def pictures(
    have: dict[str, str], template: dict | None
) -> Iterator[tuple[Figure | Closeup, dict]]:
    """(`Figure` or `Closeup`, thumbnails by name) of everything that a unit has images for.

    ``have``: the paths of its images, masks and tables by name, as the rule qc_page gives them;
    ``template``: that of the configuration.
    """
    if {"epvs", "epvs_not_counted", "regions_1mm", "t1w_1mm"} <= have.keys():
        yield from _perivascular(have)
    if {"lesions", "t1w_1mm"} <= have.keys():
        yield _lesions(have)
    if {"fa", "v1", "regions", "regions_adaptive"} <= have.keys():
        yield from _alps(have)
    if {"b0", "dwi_to_t1w", "t1w", "mask"} <= have.keys():
        yield _to_flip(
            "b0",
            "b = 0 and T1w, with the edges of the T1w brain",
            "The lines should follow the brain's surface and ventricles, and nothing should "
            "move when you flip. A shift along one axis near the front is susceptibility "
            "distortion.",
            {"b = 0": load(have["b0"]), "T1w": _t1w_on_dwi(have)},
        )
    if "warped" in have:
        yield _to_flip(
            "template",
            "T1w in template space, with the template's edges",
            "Ventricles, central sulcus and brain surface should stay in place when you flip.",
            {"T1w": load(have["warped"]), "template": load_template(template).t1w},
        )
    if "mask" in have:
        pair = load(have["t1w"]), load(have["mask"])
        yield (
            Figure(
                "Brain mask on the T1w",
                "The line should enclose the whole brain, and neither eyes nor neck.",
                figures.brain_outline(*pair),
            ),
            {"brain": partial(thumbnails.brain, t1w=pair[0], mask=pair[1])},
        )
    if "motion" in have:
        rows = read_tsv(have["motion"])
        yield (
            Figure(
                "Head motion",
                "Rigid motion of every volume against the first b = 0 volume, and the shift by "
                "eddy currents, which is no motion.",
                figures.motion_trace(rows),
            ),
            {"motion": partial(thumbnails.motion, rows=rows)},
        )


def _perivascular(have):
    names = ("t1w_1mm", "regions_1mm", "epvs", "epvs_not_counted")
    t1w, labels, objects, not_counted = (load(have[name]) for name in names)
    t2w = load(have["t2w_1mm"]) if Path(have["t2w_1mm"]).stat().st_size else None
    ground = "T2w" if t2w else "T1w (there is no T2w)"
    tiles = {
        "regions": partial(thumbnails.regions, t1w=t1w, labels=labels),
        "epvs": partial(thumbnails.epvs, ground=t2w or t1w, labels=labels, objects=objects),
    }
    yield (
        Figure(
            "Perivascular spaces",
            f"{ground} from the midbrain to the vertex, plain and marked. Red: perivascular "
            "spaces. Yellow: found and not counted (too short, in a lesion, unlike CSF, or part of "
            "a larger CSF space). Orange: centrum semiovale (above the ventricles' roof), pink: "
            "deep white matter below it, blue: basal ganglia, green: midbrain. "
            "Red must not follow sulci, ventricle walls or lesions.",
            figures.epvs_overview(t1w, t2w, labels, objects, not_counted),
        ),
        tiles,
    )
    for closeup in closeups(t1w, t2w, labels, objects, not_counted):
        yield closeup, {}
    if t2w:
        lifted = [nib.Nifti1Image(array(image) + 1, image.affine) for image in (t2w, t1w)]
        yield _to_flip(
            "t2w",
            "T2w and T1w, with the edges of the T1w brain",
            "The brain should stay in place when you flip.",
            dict(zip(("T2w", "T1w"), lifted, strict=True)),
        )


def _lesions(have):
    t1w, lesions = load(have["t1w_1mm"]), load(have["lesions"])
    name, ground = "T1w (there is no FLAIR)", array(t1w) + 1
    if {"flair", "flair_matrix"} <= have.keys():
        name, flair = "FLAIR", load(have["flair"])
        to_t1w = np.linalg.inv(read_itk_affine(have["flair_matrix"]))
        moved = nib.Nifti1Image(spatial(flair), to_t1w @ flair.affine)
        ground = array(resample_from_to(moved, t1w, order=1))
    figure = Figure(
        "White-matter lesions",
        f"{name}, plain and marked. Red: what is taken for a lesion, in which no perivascular "
        "space is counted and whose volume is wmh_volume_mm3 where your own mask or program marked "
        "it (a threshold on FLAIR measures none). Red must not follow cortex, septum or plexus.",
        figures.lesions_overview(ground, array(t1w) > -1, array(lesions) > 0),
    )
    return figure, {}


def _to_flip(tile, title, text, images):
    """A picture that flips between the two named ``images`` (moving, fixed), and its tile."""
    pair = matched(*images.values())
    figure = Figure(title, text, *figures.alignment(pair), tuple(images))
    return figure, {tile: partial(thumbnails.edges, pair=pair)}


def _alps(have):
    images, names = [load(have[name]) for name in ("fa", "v1", "regions")], region_names()
    moved = load(have["regions_adaptive"])
    yield (
        Figure(
            "Regions on colour FA",
            "Red: left-right, green: front-back, blue: up-down. White outline: projection, should "
            "lie in blue. Yellow outline: association, should lie in green.",
            figures.regions_overview(*images, names),
        ),
        {"roi": lambda axis: thumbnails.roi(axis, *images, names)},
    )
    yield (
        Figure(
            "Each region",
            "The slices through the centre of each region, 60 mm wide. Dashed: where the "
            "region would be if it sought its tract (adaptive placement).",
            figures.colour_fa(*images, moved, names),
        ),
        {},
    )


def _t1w_on_dwi(have):
    """The T1w brain with its affine moved into the DWI's world."""
    t1w, mask = load(have["t1w"]), array(load(have["mask"])) > 0
    to_t1w = np.array(read_json(have["dwi_to_t1w"])["dwi_to_t1w"])
    return nib.Nifti1Image(array(t1w) * mask, np.linalg.inv(to_t1w) @ t1w.affine)
