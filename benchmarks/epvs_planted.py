"""Known tubes planted in real images that the workflow has prepared, and what it finds unplanted.

    python benchmarks/epvs_planted.py RESULTS sub-kirby113 [--tubes 60] [--bundle FOLDER]

RESULTS is the output folder of a run. Tubes of `glymph.simulate` (not of training) are drawn into
the T1w and T2w at 1 mm, inside the regions, once crisp and once blurred to the scanner's resolution
at 80 % contrast, and so that each reaches a given contrast at its highest: once as pale as that
takes, once as thin, filled with CSF. At 1 mm the two look alike, and their volumes are far apart.
Tubes of given widths in centrum semiovale and basal ganglia tell whether wide ones are found.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from epvs_synthesis import as_counted, configured
from scipy import ndimage

from glymph.common import legend
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
WIDTHS = (1.5, 2.0, 2.5, 3.0, 3.5)
"""mm. Tubes of CSF of these widths, blurred by the scanner, tell whether wide ones are found."""


def draw(rng, labels, affine, taken, count, make=None):
    """Share (float32) and object numbers of up to ``count`` tubes that touch nothing else, and the
    tubes; each is what ``make`` (rng, middle), `one` without it, gives."""
    make = make or one
    grid = Grid(labels.shape, affine)
    share, numbers = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.int16)
    tubes = []
    inside = ndimage.binary_erosion(labels > 0, iterations=1)
    places = np.argwhere(inside)
    for _ in range(200 * count):
        if len(tubes) == count:
            break
        tube = make(rng, nib.affines.apply_affine(affine, places[rng.integers(len(places))]))
        if not contains(inside, affine, tube.axis):  # soon told; filling voxels takes time
            continue
        box, part, mask = footprint(tube, grid, np.eye(4))
        index = np.argwhere(mask) + [s.start for s in box]
        if not mask.any() or not inside[tuple(index.T)].all():
            continue
        near = tuple(slice(max(0, s.start - 2), s.stop + 2) for s in box)
        if taken[near].any() or numbers[near].any():
            continue
        tubes.append(tube)
        add(share, numbers, len(tubes), box, part, mask)
    return share, numbers, tubes


def contains(inside, affine, points) -> bool:
    index = np.round(nib.affines.apply_affine(np.linalg.inv(affine), points)).astype(int)
    within = ((index >= 0) & (index < inside.shape)).all()
    return bool(within and inside[tuple(index.T)].all())


def add(share, numbers, number: int, box, part, mask) -> None:
    share[box] = np.maximum(share[box], part)
    numbers[box][mask] = number


def thinned(tubes: list[Tube], shape, affine, peak: float):
    """Share and object numbers of ``tubes`` made as thin as it takes for each, filled with CSF, to
    reach the contrast ``peak`` at its highest once the scanner has blurred it."""
    grid = Grid(shape, affine)
    share, numbers = np.zeros(shape, np.float32), np.zeros(shape, np.int16)
    for number, tube in enumerate(tubes, 1):
        low, high = 0.15, 3.0
        for _ in range(14):
            middle = (low + high) / 2
            part = footprint(replace(tube, width=middle), grid, np.eye(4))[1]
            reached = blurred(np.pad(part, 3)).max() >= peak
            low, high = (low, middle) if reached else (middle, high)
        add(share, numbers, number, *footprint(replace(tube, width=high), grid, np.eye(4)))
    return share, numbers


def one(rng, centre) -> Tube:
    width = float(np.clip(1.9 * np.exp(0.25 * rng.standard_normal()), 1.0, 3.0))
    length = float(np.clip(8 * np.exp(0.3 * rng.standard_normal()), 3.0, 15.0))
    return curved(rng, centre, rng.standard_normal(3), length, width)


def wide(width: float, steep: bool, rng, centre) -> Tube:
    """A tube of this ``width`` (mm), two and a half to four times as long; ``steep`` ones rise as
    the arteries of the basal ganglia do."""
    direction = rng.standard_normal(3)
    if steep:
        direction = np.array([0.3 * np.sign(centre[0]), -0.15, 1.0]) + 0.15 * direction
    return curved(rng, centre, direction, width * rng.uniform(2.5, 4), width)


def curved(rng, centre, direction, length: float, width: float) -> Tube:
    direction = direction / np.linalg.norm(direction)
    t = np.linspace(-0.5, 0.5, 60)[:, None]
    across = np.cross(direction, rng.standard_normal(3))
    across /= np.linalg.norm(across)
    axis = centre + (length - width) * (t * direction + 0.2 * (t**2 - 1 / 12) * across)
    return Tube("CSO", axis, length, width)


def by_width(labels, affine, taken):
    """(name, share, object numbers) of 20 tubes of one width in one region, for every pair."""
    for region in ("cso", "bg"):
        inside = np.where(np.isin(labels, legend.label_values(region)), labels, 0)
        for width in WIDTHS:
            make = partial(wide, width, region == "bg")
            share, numbers, _ = draw(np.random.default_rng(21), inside, affine, taken, 20, make)
            yield f"{region}, width {width:g} mm", share, numbers


def blurred(share: np.ndarray) -> np.ndarray:
    """``share`` as the scanner shows it."""
    return ndimage.gaussian_filter(share, SCANNER_BLUR)


def planted(image, level, share):
    return image + share * (level - image)


def measure(objects: list, before: np.ndarray, truth: np.ndarray, share: np.ndarray) -> dict:
    """Dice, recall, volume and fluid of the tubes ``truth`` (numbers), whose shares are ``share``;
    ``before`` (bool), what is found without them, does not count."""
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
        "fluid": round(float(sum(o.fluid for o in hits) / share.sum()), 3),
        "extra": len(new) - len(hits),
    }


def at_peak(share: np.ndarray, truth: np.ndarray, peak: float) -> np.ndarray:
    """Contrast of tubes blurred as in the scanner, each of which is ``peak`` at its highest."""
    soft = blurred(share)
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
              f"{sum(o.volume for o in objects):.0f} mm3,",
              f"fluid {sum(o.fluid for o in objects):.0f} mm3")  # fmt: skip
    fluid = (t1w < -0.55) & (t2w > 0.4)
    taken = fluid | before["network"]
    rng = np.random.default_rng(20)
    share, truth, tubes = draw(rng, labels, region.affine, taken, options.tubes)
    print(f"planted {truth.max()} tubes, {(truth > 0).sum()} voxels, {share.sum():.0f} mm3")
    softened = 0.8 * blurred(share)
    kinds = {"crisp": (share, share, truth), "softened": (softened, share, truth)}
    for peak in PEAKS:
        kinds[f"pale, peak {peak}"] = at_peak(share, truth, peak), share, truth
        thin, numbers = thinned(tubes, labels.shape, region.affine, peak)
        part = blurred(thin)
        kinds[f"thin, peak {peak}"] = part, thin, numbers
    for kind, own, numbers in by_width(labels, region.affine, taken):
        kinds[kind] = blurred(own), own, numbers
    for kind, (part, own, numbers) in kinds.items():
        pair = [planted(i, level, part) for i, level in zip((t1w, t2w), CSF, strict=True)]
        for name in methods:
            print(kind, name, measure(find(name, *pair), before[name], numbers, own))


if __name__ == "__main__":
    main()
