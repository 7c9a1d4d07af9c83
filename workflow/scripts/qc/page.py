"""Draw the page of one unit (rule qc_page)."""

from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.alps.roi import region_names
from glymph.common.errors import read_stop
from glymph.common.images import array, load, read_json
from glymph.common.job import run
from glymph.common.tables import read_tsv
from glymph.common.template import load_template
from glymph.qc import figures
from glymph.qc.page import Figure, render


def main(snakemake):
    source = snakemake.input
    have = {
        name: path
        for name, path in source.items()
        if name not in ("record", "template") and not read_stop(path)
    }
    page = render(read_json(source.record), list(_figures(have, snakemake.params.template)))
    Path(snakemake.output.page).write_text(page, encoding="utf-8")


def _figures(have, template):
    if {"epvs", "regions_1mm", "t1w_1mm"} <= have.keys():
        t2w = load(have["t2w_1mm"]) if Path(have["t2w_1mm"]).stat().st_size else None
        ground = "T2w" if t2w else "T1w (there is no T2w)"
        yield Figure(
            "Perivascular spaces",
            f"{ground} from the midbrain to the vertex, plain and marked. Red: perivascular "
            "spaces. Orange: centrum semiovale, blue: basal ganglia, green: midbrain. Red must not "
            "follow sulci, ventricle walls or lesions.",
            figures.epvs_overview(
                load(have["t1w_1mm"]), t2w, load(have["regions_1mm"]), load(have["epvs"])
            ),
        )
    if {"fa", "v1", "regions"} <= have.keys():
        images = [load(have[name]) for name in ("fa", "v1", "regions")]
        names = region_names()
        yield Figure(
            "Regions on colour FA",
            "Red: left-right, green: front-back, blue: up-down. White outline: projection, should "
            "lie in blue. Yellow outline: association, should lie in green.",
            figures.regions_overview(*images, names),
        )
        yield Figure(
            "Each region",
            "The slices through the centre of each region, 60 mm wide.",
            figures.colour_fa(*images, names),
        )
    if {"b0", "dwi_to_t1w", "t1w", "mask"} <= have.keys():
        yield Figure(
            "b = 0 with the edges of the T1w brain",
            "The lines should follow the brain's surface and ventricles. A shift along one axis "
            "near the front is susceptibility distortion.",
            figures.alignment(load(have["b0"]), _t1w_on_dwi(have)),
        )
    if "warped" in have:
        yield Figure(
            "T1w in template space with the template's edges",
            "Ventricles, central sulcus and brain surface should coincide.",
            figures.alignment(load(have["warped"]), load_template(template).t1w),
        )
    if "mask" in have:
        yield Figure(
            "Brain mask on the T1w",
            "The line should enclose the whole brain, and neither eyes nor neck.",
            figures.brain_outline(load(have["t1w"]), load(have["mask"])),
        )
    if "motion" in have:
        yield Figure(
            "Head motion",
            "Rigid motion of every volume against the first b = 0 volume.",
            figures.motion_trace(read_tsv(have["motion"])),
        )


def _t1w_on_dwi(have):
    """The T1w brain with its affine moved into the DWI's world."""
    t1w, mask = load(have["t1w"]), array(load(have["mask"])) > 0
    to_t1w = np.array(read_json(have["dwi_to_t1w"])["dwi_to_t1w"])
    return nib.Nifti1Image(array(t1w) * mask, np.linalg.inv(to_t1w) @ t1w.affine)


if __name__ == "__main__":
    run(main, snakemake, pass_stops=False)  # noqa: F821
