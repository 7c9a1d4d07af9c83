"""Known tubes planted in real images that the workflow has prepared, and what it finds unplanted.

    python benchmarks/epvs_planted.py RESULTS sub-kirby113 [--tubes 60] [--bundle FOLDER]

RESULTS is the output folder of a run. Tubes of `glymph.simulate` (not of training) are drawn into
the T1w and T2w at 1 mm, inside the regions, once crisp and once blurred to the scanner's resolution
at 80 % contrast, and so that each reaches a given contrast at its highest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from epvs_synthesis import as_counted, configured
from scipy import ndimage

from glymph.epvs.census import PROBABILITY, mask_of
from glymph.epvs.segment import by_frangi, by_network, reading_of
from glymph.networks.run import open_bundle
from glymph.simulate.epvs import Tube, footprint
from glymph.simulate.space import Grid

CSF = (-1.0, 1.0)
"""T1w and T2w of CSF in the scaled images."""
SCANNER_BLUR = 0.55
PEAKS = (0.13, 0.2, 0.3, 0.43)
"""Highest contrast of a tube, as a share of the way from tissue to CSF."""


def draw(rng, labels, affine, taken, count):
    """Share (float32) and object numbers of ``count`` tubes that touch nothing else."""
    grid = Grid(labels.shape, affine)
    share, numbers = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.int16)
    inside = ndimage.binary_erosion(labels > 0, iterations=1)
    places = np.argwhere(inside)
    planted = 0
    for _ in range(200 * count):
        if planted == count:
            break
        tube = one(rng, nib.affines.apply_affine(affine, places[rng.integers(len(places))]))
        box, part, mask = footprint(tube, grid, np.eye(4))
        index = np.argwhere(mask) + [s.start for s in box]
        if not mask.any() or not inside[tuple(index.T)].all():
            continue
        near = tuple(slice(max(0, s.start - 2), s.stop + 2) for s in box)
        if taken[near].any() or numbers[near].any():
            continue
        planted += 1
        share[box] = np.maximum(share[box], part)
        numbers[box][mask] = planted
    return share, numbers


def one(rng, centre) -> Tube:
    width = float(np.clip(1.9 * np.exp(0.25 * rng.standard_normal()), 1.0, 3.0))
    length = float(np.clip(8 * np.exp(0.3 * rng.standard_normal()), 3.0, 15.0))
    direction = rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    t = np.linspace(-0.5, 0.5, 60)[:, None]
    across = np.cross(direction, rng.standard_normal(3))
    across /= np.linalg.norm(across)
    axis = centre + (length - width) * (t * direction + 0.2 * (t**2 - 1 / 12) * across)
    return Tube("CSO", axis, length, width)


def planted(image, level, share):
    return image + share * (level - image)


def measure(objects: list, before: np.ndarray, truth: np.ndarray, share: np.ndarray) -> dict:
    """Dice, recall and volume of the tubes ``truth`` (numbers); ``before`` (bool), what is found
    without them, does not count."""
    old = ndimage.binary_dilation(before)
    new = [o for o in objects if not old[tuple(o.voxels.T)].any() or truth[tuple(o.voxels.T)].any()]
    found = (mask_of(new, truth.shape) > 0) & ~(old & (truth == 0))
    both = 2 * (found & (truth > 0)).sum() / max(found.sum() + (truth > 0).sum(), 1)
    recall = np.mean([found[truth == n].any() for n in range(1, int(truth.max()) + 1)])
    hits = [o for o in new if truth[tuple(o.voxels.T)].any()]
    return {
        "dice": round(float(both), 3),
        "recall": round(float(recall), 3),
        "volume": round(float(sum(o.volume for o in hits) / share.sum()), 3),
        "extra": len(new) - len(hits),
    }


def at_peak(share: np.ndarray, truth: np.ndarray, peak: float) -> np.ndarray:
    """Contrast of tubes blurred as in the scanner, each of which is ``peak`` at its highest."""
    soft = ndimage.gaussian_filter(share, SCANNER_BLUR)
    highest = np.concatenate([[1], ndimage.maximum(soft, truth, range(1, int(truth.max()) + 1))])
    nearest = ndimage.distance_transform_edt(truth == 0, return_distances=False,
                                             return_indices=True)  # fmt: skip
    return peak * soft / highest[truth[tuple(nearest)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("unit")
    parser.add_argument("--tubes", type=int, default=60)
    parser.add_argument("--bundle")
    parser.add_argument("--csf-likeness", type=float, default=configured("csf_likeness"),
                        help="as epvs.csf_likeness")  # fmt: skip
    options = parser.parse_args()
    stem = options.results / options.unit / "anat" / f"{options.unit}_space-T1w_res-1mm"
    images = {k: nib.load(f"{stem}_desc-{k}.nii.gz") for k in ("norm_T1w", "norm_T2w")}
    region = nib.load(f"{stem}_desc-region_dseg.nii.gz")
    labels = np.asarray(region.dataobj).astype(np.uint8)
    brain = np.asarray(nib.load(f"{stem}_desc-brain_mask.nii.gz").dataobj) > 0
    t1w, t2w = (np.asarray(i.dataobj, np.float32) for i in images.values())
    bundle = open_bundle("epvs", options.bundle, 2)
    methods = {
        "network": lambda a, b: (by_network(a, b, labels, bundle), reading_of(bundle)),
        "frangi 0.1": lambda a, b: (by_frangi(a, b, labels, 0.1), PROBABILITY),
    }

    def find(name, *pair):
        return as_counted(*methods[name](*pair), *pair, brain, labels, options.csf_likeness)

    before = {}
    for name in methods:
        objects = find(name, t1w, t2w)
        before[name] = mask_of(objects, labels.shape) > 0
        regions = [o.region for o in objects]
        print(f"unplanted, {name}: {len(objects)} objects",
              {r: regions.count(r) for r in sorted(set(regions))},
              f"{sum(o.volume for o in objects):.0f} mm3")  # fmt: skip
    fluid = (t1w < -0.55) & (t2w > 0.4)
    taken = fluid | before["network"]
    rng = np.random.default_rng(20)
    share, truth = draw(rng, labels, region.affine, taken, options.tubes)
    print(f"planted {truth.max()} tubes, {(truth > 0).sum()} voxels, {share.sum():.0f} mm3")
    kinds = {"crisp": share, "softened": 0.8 * ndimage.gaussian_filter(share, SCANNER_BLUR)}
    kinds |= {f"peak {peak}": at_peak(share, truth, peak) for peak in PEAKS}
    for kind, part in kinds.items():
        pair = [planted(i, level, part) for i, level in zip((t1w, t2w), CSF, strict=True)]
        for name in methods:
            print(kind, name, measure(find(name, *pair), before[name], truth, share))


if __name__ == "__main__":
    main()
