"""What the networks do on real heads, against what nobody here made.

    python benchmarks/real_heads.py RESULTS [--lesions sub-07=GOLD_STANDARD.nii.gz ...]

RESULTS is the output folder of a run on real images (at least to epvs_census). Per head: the brain
network against deepbet (where the T1w has a skull), sizes of the regions and the ventricles' roof,
objects and volume, the contrast that planted tubes need, how far count and volume hold still where
the 1 mm grid lies otherwise and under noise, and agreement with a rater's mask of lesions.
Says why and ends well where RESULTS has no such head.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from epvs_planted import (
    PEAKS,
    at_peak,
    blurred,
    by_width,
    draw,
    measure,
    planted,
    thinned,
)
from epvs_synthesis import as_counted, configured
from scipy import ndimage

from glymph.anat.brain import is_stripped
from glymph.anat.vbnet import largest_filled, probability
from glymph.common.images import array, load
from glymph.common.spaces import read_itk_affine
from glymph.epvs import census
from glymph.epvs.prepare import Grid, resample, scaled
from glymph.epvs.segment import by_network, reading_of
from glymph.networks.run import open_bundle

POSES = {
    "as it lies": ((0, 0, 0), (0, 0, 0), 0),
    "half a voxel on": ((0, 0, 0), (0.5, 0.5, 0.5), 0),
    "pitched by 6 degrees": ((6, 0, 0), (0.2, 0, 0.4), 0),
    "rolled by 8 degrees": ((0, 8, 0), (0, 0.3, 0.1), 0),
    "turned by 10 degrees": ((0, 0, 10), (0.4, 0.2, 0), 0),
    "noise of 1 %": ((0, 0, 0), (0, 0, 0), 0.01),
    "noise of 2 %": ((0, 0, 0), (0, 0, 0), 0.02),
    "pitched back, noise of 1 %": ((-7, 0, 3), (0.5, 0.1, 0), 0.01),
    "rolled back, noise of 2 %": ((2, -6, 0), (0.1, 0, 0.5), 0.02),
}
"""Degrees about x, y, z and mm by which the 1 mm grid is moved; the head stays where it is. Noise
is added to both images as scanned: its deviation as a share of the median of tissue."""
MOVED_ONLY = 5
"""Of `POSES` the first: without added noise."""


def files_of(results: Path) -> dict[str, str]:
    """Stem of the anat files of every subject-session of a run, by its prefix."""
    found = sorted(results.glob("sub-*/**/anat/*_desc-EPVS_objects.tsv"))
    return {p.name.removesuffix("_desc-EPVS_objects.tsv"):
            str(p).removesuffix("_desc-EPVS_objects.tsv") for p in found}  # fmt: skip


def brain(stem: str) -> dict:
    """Dice and 95 % Hausdorff distance (mm) of the VB-Net to deepbet, on the corrected T1w."""
    t1w = load(f"{stem}_desc-preproc_T1w.nii.gz")
    if is_stripped(t1w):
        return {"brain": "stripped already"}
    from deepbet.bet import BrainExtraction

    theirs = array(BrainExtraction(no_gpu=True).run(t1w)[1]) > 0
    mine = largest_filled(probability(t1w, open_bundle("brain", None, 2)) > 0.5)
    dice = 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum())
    sizes = nib.affines.voxel_sizes(t1w.affine)
    edges = [m & ~ndimage.binary_erosion(m) for m in (mine, theirs)]
    away = [ndimage.distance_transform_edt(~e, sampling=sizes) for e in edges]
    apart = np.concatenate([away[1][edges[0]], away[0][edges[1]]])
    millilitre = np.prod(sizes) / 1000
    return {
        "dice": round(float(dice), 3),
        "hd95_mm": round(float(np.percentile(apart, 95)), 1),
        "vbnet_ml": round(mine.sum() * millilitre),
        "deepbet_ml": round(theirs.sum() * millilitre),
    }


def facts(stem: str) -> dict:
    """What the run itself wrote of regions, objects and image quality."""
    values = {}
    for name in ("region", "EPVS"):
        values |= json.loads(Path(f"{stem}_desc-{name}_anat.json").read_text())["metrics"]
    regions = ("cso", "bg", "midbrain", "dwm")
    wanted = [f"epvs_{name}_count" for name in ("total", *regions)]
    wanted += [f"{name}_volume_mm3" for name in ("epvs_total", *regions, "wmh")]
    wanted += ["ventricle_roof_left_mm", "ventricle_roof_right_mm", "epvs_lesion_like_share"]
    wanted += ["t1w_noise", "t2w_noise", "t1w_edge_mm", "t2w_edge_mm"]
    return {k: None if values.get(k) is None else round(values[k], 3) for k in wanted}


def pair_on(stem: str, grid: Grid, noise: float = 0.0):
    """T1w, T2w (None without one), brain and labels of a head on a 1 mm ``grid``, with ``noise``
    added to both images as scanned."""
    folder, prefix = Path(stem).parent, Path(stem).name
    at_1mm = f"{stem}_space-T1w_res-1mm_"
    brain = resample(load(f"{at_1mm}desc-brain_mask.nii.gz"), grid, order=1)[0] > 0.5
    labels = resample(load(f"{at_1mm}desc-region_dseg.nii.gz"), grid, order=0)[0].astype(np.uint8)
    rng = np.random.default_rng(5)
    t1w = noisy(rng, load(f"{stem}_desc-preproc_T1w.nii.gz"), noise)
    t1w = scaled(resample(t1w, grid)[0], brain, prefix)
    sidecar = json.loads((folder / f"{prefix}_desc-prepare_anat.json").read_text())
    if len(sidecar["Sources"]) < 2:
        return t1w, None, brain, labels
    matrix = read_itk_affine(f"{stem}_from-T1w_to-T2w_mode-points_xfm.mat")
    t2w = noisy(rng, load(sidecar["Sources"][1]), noise)
    t2w = scaled(resample(t2w, grid, matrix)[0], brain, prefix)
    return t1w, t2w, brain, labels


def noisy(rng, image: nib.Nifti1Image, noise: float) -> nib.Nifti1Image:
    """``image`` with white noise; of its deviation 1 is the median of what is not background."""
    data = array(image)
    level = np.median(data[data > 0.1 * np.percentile(data, 99)])
    found = data + noise * level * rng.standard_normal(data.shape)
    return nib.Nifti1Image(found.astype(np.float32), image.affine)


def moved(grid: Grid, degrees, shift) -> Grid:
    """``grid`` turned about its middle by ``degrees`` about x, y, z and moved by ``shift`` mm."""
    from scipy.spatial.transform import Rotation

    turn, middle = np.eye(4), (np.array(grid.shape) - 1) / 2
    turn[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    turn[:3, 3] = middle - turn[:3, :3] @ middle + np.array(shift)
    return Grid(grid.shape, grid.affine @ turn)


def steadiness(stem: str, bundle) -> dict:
    """Counts, volumes and fluid over `POSES`, and their coefficients of variation."""
    image = load(f"{stem}_space-T1w_res-1mm_desc-norm_T1w.nii.gz")
    counts, volumes, fluids = [], [], []
    for degrees, shift, noise in POSES.values():
        grid = moved(Grid(image.shape, image.affine), degrees, shift)
        t1w, t2w, inside, labels = pair_on(stem, grid, noise)
        found = by_network(t1w, t2w, labels, bundle)
        kept = as_counted(found, reading_of(bundle), t1w, t2w, inside, labels, LEAST)
        counts.append(len(kept))
        volumes.append(round(sum(o.volume for o in kept), 1))
        fluids.append(round(sum(o.fluid for o in kept), 1))
    return {
        "counts": counts,
        "count_cv": spread(counts),
        "count_cv_without_noise": spread(counts[:MOVED_ONLY]),
        "volumes": volumes,
        "volume_cv": spread(volumes),
        "volume_cv_without_noise": spread(volumes[:MOVED_ONLY]),
        "fluids": fluids,
        "fluid_cv": spread(fluids),
        "fluid_cv_without_noise": spread(fluids[:MOVED_ONLY]),
    }


def spread(values: list) -> float | None:
    return round(float(np.std(values, ddof=1) / np.mean(values)), 3) if np.mean(values) else None


def contrast_curve(stem: str, bundle) -> dict:
    """Recall and volume of planted tubes by their highest contrast, pale ones and thin ones of CSF;
    needs a T2w."""
    image = load(f"{stem}_space-T1w_res-1mm_desc-norm_T1w.nii.gz")
    t1w, t2w, inside, labels = pair_on(stem, Grid(image.shape, image.affine))
    if t2w is None:
        return {"contrast_curve": "no T2w"}

    def find(first, second):
        found = by_network(first, second, labels, bundle)
        return as_counted(found, reading_of(bundle), first, second, inside, labels, LEAST)

    before = census.mask_of(find(t1w, t2w), labels.shape) > 0
    fluid = (t1w < -0.55) & (t2w > 0.4)
    rng = np.random.default_rng(20)
    share, truth, tubes = draw(rng, labels, image.affine, fluid | before, 60)
    pale, thin, widths = {}, {}, {}
    kinds = []
    for peak in PEAKS:
        kinds.append((pale, peak, at_peak(share, truth, peak), truth, share))
        own, numbers = thinned(tubes, labels.shape, image.affine, peak)
        kinds.append((thin, peak, blurred(own), numbers, own))
    for name, own, numbers in by_width(labels, image.affine, fluid | before):
        kinds.append((widths, name, blurred(own), numbers, own))
    for curve, name, part, numbers, true in kinds:
        pair = [planted(i, level, part) for i, level in ((t1w, -1.0), (t2w, 1.0))]
        curve[name] = measure(find(*pair), before, numbers, true)
    return {"contrast_curve": pale, "contrast_curve_of_thin_tubes": thin, "by_width": widths}


def against_rater(stem: str, mask: str) -> dict:
    """The run's lesions against a rater's, and what of these is called perivascular space."""
    objects = load(f"{stem}_space-T1w_res-1mm_desc-EPVS_dseg.nii.gz")
    grid = Grid(objects.shape, objects.affine)
    drawn = resample(load(mask), grid, order=0)[0] > 0
    counted = array(objects) > 0
    values = {"lesion_share_called_epvs": round(float((counted & drawn).sum() / drawn.sum()), 4)}
    found = array(load(f"{stem}_space-T1w_res-1mm_desc-lesion_mask.nii.gz")) > 0
    both = (found & drawn).sum()
    return values | {
        "lesion_dice": round(float(2 * both / (found.sum() + drawn.sum())), 3),
        "lesion_recall": round(float(both / drawn.sum()), 3),
        "lesion_mm3": int(found.sum()),
        "rater_mm3": int(drawn.sum()),
    }


LEAST = configured("csf_likeness")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--lesions", nargs="*", default=[], metavar="SUBJECT=MASK")
    parser.add_argument("--heads", nargs="*", metavar="SUBJECT", help="all without")
    parser.add_argument("--bundle", help="of perivascular spaces; the shipped one without")
    options = parser.parse_args()
    heads = files_of(options.results)
    heads = {k: v for k, v in heads.items() if not options.heads or k in options.heads}
    if not heads:
        sys.exit(f"skipped: {options.results} holds no head of a run to epvs_census")
    bundle = open_bundle("epvs", options.bundle, 2)
    raters = dict(pair.split("=", 1) for pair in options.lesions)
    for prefix, stem in heads.items():
        row = brain(stem) | facts(stem) | steadiness(stem, bundle) | contrast_curve(stem, bundle)
        row |= against_rater(stem, raters[prefix]) if prefix in raters else {}
        print(prefix, json.dumps(row, indent=1), flush=True)


if __name__ == "__main__":
    main()
