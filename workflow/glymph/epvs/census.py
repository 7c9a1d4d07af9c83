"""From a probability to objects: which are perivascular spaces, where, how long and how wide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from glymph.common import legend
from glymph.common.registry import checked
from glymph.common.spaces import apply_affine, voxel_sizes

SHORTEST_MM = 2.0
CONNECTED = np.ones((3, 3, 3))
LESION_SHARE = 0.5
"""An object is a lesion where more than this of it lies in one."""
HALF = 0.45
"""An object ends where its share falls below this part of the highest around: near the half, where
the border of a blurred tube lies; a little less, since the highest is itself blurred."""
FLANK_MM = 1.74
"""How far beyond its voxels what a voxel holds of an object is added up: to the 26 neighbours at
1 mm."""


@dataclass(frozen=True)
class Reading:
    """How a map of perivascular spaces is to be read.

    What exceeds ``grow`` in one piece is an object where it exceeds ``seed`` somewhere (hysteresis:
    an object does not break, or vanish, for noise about one threshold). With ``shares`` the map
    holds the share of each voxel that is perivascular space, else a probability.
    """

    seed: float = 0.5
    grow: float = 0.5
    shares: bool = False


PROBABILITY = Reading()


@dataclass(frozen=True)
class Object:
    """One connected structure: ``voxels`` (n, 3) indices, region and side, sizes in mm and mm3;
    ``fluid`` is the CSF that it holds, None where nothing tells (`glymph.epvs.content`)."""

    voxels: np.ndarray
    region: str
    side: str
    volume: float
    length: float
    width: float
    fluid: float | None = None


def find_objects(
    found: np.ndarray,
    labels: np.ndarray,
    affine: np.ndarray,
    lesions: np.ndarray | None = None,
    reading: Reading = PROBABILITY,
) -> list[Object]:
    """Perivascular spaces: 26-connected parts of what the map ``found`` marks inside the regions.

    ``labels`` are the region labels of `resources/regions.yaml` on the same grid. What lies in
    ``lesions`` is taken away, and objects that lie there for the most part go whole. Objects
    shorter than 2 mm are dropped. Each belongs to the label that holds most of its voxels; on a tie
    to the lowest label. Ordered from bottom to top, then by the first voxel.

    >>> found, labels = np.zeros((5, 5, 8)), np.full((5, 5, 8), 2)
    >>> found[2, 2, 1:6] = 1  # a tube of five voxels of 1 mm
    >>> found[4, 4, 7] = 1  # a point
    >>> [(len(o.voxels), round(o.length, 1)) for o in find_objects(found, labels, np.eye(4))]
    [(5, 5.0)]
    """
    candidates = _candidates(found, labels, lesions, reading)
    marked = candidates | elsewhere(found, labels, reading)
    return _measured(found, candidates, marked, labels, affine, reading)


def find_corrected(
    found: np.ndarray,
    labels: np.ndarray,
    affine: np.ndarray,
    lesions: np.ndarray | None,
    reading: Reading,
    corrected: np.ndarray,
) -> list[Object]:
    """Perivascular spaces of a mask that a rater ``corrected`` (bool, x, y, z), else as
    `find_objects`, which found in the same map what the rater began with.

    What the rater kept is measured in the map as before, to the last digit; what the rater drew
    counts as whole voxels. What was taken away keeps what the map holds about it: no neighbour
    grows. The rater's word stands before ``lesions``.
    """
    automatic = _candidates(found, labels, lesions, reading)
    kept = corrected & (labels > 0)
    filled = np.where(kept & ~automatic, np.float32(1), found)
    marked = automatic | kept | elsewhere(found, labels, reading)
    return _measured(filled, kept, marked, labels, affine, reading)


def _candidates(found, labels, lesions: np.ndarray | None, reading: Reading) -> np.ndarray:
    candidates = marked_by(found, labels, reading)
    return candidates if lesions is None else _without_lesions(candidates, lesions)


def _measured(found, wanted, marked, labels, affine, reading: Reading) -> list[Object]:
    """The connected parts of ``wanted`` (bool) that are long enough; ``marked`` holds them and what
    else owns a part of the map ``found``."""
    parts, count = ndimage.label(wanted, CONNECTED)
    volumes = _volumes(found, parts, count, marked, affine, reading)
    objects = []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        voxels = np.argwhere(parts[box] == number) + [s.start for s in box]
        length = extent(voxels, affine)
        if length < SHORTEST_MM - 1e-6:
            continue
        volume = volumes[number - 1]
        region, side = legend.home(labels[tuple(voxels.T)])
        width = 2 * np.sqrt(volume / (np.pi * length))
        objects.append(Object(voxels, region, side, volume, length, float(width)))
    return sorted(objects, key=lambda o: (o.voxels[:, 2].mean(), tuple(o.voxels[0])))


def marked_by(found: np.ndarray, labels: np.ndarray, reading: Reading) -> np.ndarray:
    """Voxels (bool) of perivascular spaces of any length in the map ``found`` where ``labels`` are
    above 0, as in the regions."""
    inside = labels > 0
    parts, _ = ndimage.label((found > reading.grow) & inside, CONNECTED)
    seeded = np.unique(parts[(found > reading.seed) & inside])
    kept = np.isin(parts, seeded[seeded > 0])
    if reading.shares:
        kept &= found >= HALF * ndimage.maximum_filter(found, size=3)
    return kept


def elsewhere(found: np.ndarray, labels: np.ndarray, reading: Reading) -> np.ndarray:
    """Voxels (bool) that the map ``found`` marks outside the regions. They are no object's: what
    crosses the border of a region is as large as what lies inside."""
    return marked_by(found, labels == 0, reading)


def _volumes(
    found, parts: np.ndarray, count: int, marked: np.ndarray, affine, reading: Reading
) -> list[float]:
    """Volume (mm3) of each of the ``count`` numbered ``parts``: of its voxels or, of shares, the
    sum over these and what lies within `FLANK_MM` and nearer to it than to any other ``marked``
    voxel."""
    voxel = float(np.prod(voxel_sizes(affine)))
    numbers = range(1, count + 1)
    if not count:
        return []
    if not reading.shares:
        return [voxel * n for n in np.bincount(parts.ravel())[1:].tolist()]
    owner = _nearest(parts, marked, affine)
    return [voxel * float(v) for v in ndimage.sum(found.astype(np.float64), owner, numbers)]


def territories(objects: list[Object], others: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Number of the object (from 1) that each voxel belongs to, or lies within `FLANK_MM` of and
    nearer to than to any other or to ``others`` (bool), what is `not_counted` or `elsewhere`; 0
    where there is none."""
    numbers = mask_of(objects, others.shape)
    return _nearest(numbers, others | (numbers > 0), affine) if objects else numbers


def _nearest(parts: np.ndarray, marked: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """What ``parts`` says at the ``marked`` voxel (bool) that is nearest, 0 beyond `FLANK_MM`."""
    sizes = voxel_sizes(affine)
    away, nearest = ndimage.distance_transform_edt(~marked, sampling=sizes, return_indices=True)
    return np.where(away <= FLANK_MM, parts[tuple(nearest)], 0)


def not_counted(
    found: np.ndarray, labels: np.ndarray, numbers: np.ndarray, reading: Reading = PROBABILITY
) -> np.ndarray:
    """What is found inside the regions and belongs to none of the counted objects (bool): too
    short, a lesion, unlike CSF, or part of a larger space of CSF. ``numbers`` is the `mask_of` the
    counted ones; all on one grid.
    """
    return marked_by(found, labels, reading) & (numbers == 0)


def without(objects: list[Object], left_out: list[bool]) -> list[Object]:
    """``objects`` without those that are ``left_out``."""
    return [item for item, out in zip(objects, left_out, strict=True) if not out]


def _without_lesions(candidates: np.ndarray, lesions: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(candidates, CONNECTED)
    if not count:
        return candidates
    share = ndimage.mean(lesions, parts, range(1, count + 1))
    gone = 1 + np.flatnonzero(np.asarray(share) > LESION_SHARE)
    return candidates & ~np.isin(parts, gone) & ~lesions


def extent(voxels: np.ndarray, affine: np.ndarray) -> float:
    """Length in mm of ``voxels`` (n, 3) along their principal axis, voxel edges included.

    Two neighbours in a row at 1 mm are 2 mm long.
    """
    world = voxels @ affine[:3, :3].T
    centred = world - world.mean(axis=0)
    if len(voxels) == 1:
        return float(voxel_sizes(affine).max())
    _, axes = np.linalg.eigh(centred.T @ centred)
    axis = axes[:, -1]
    along = centred @ axis
    edge = np.abs(axis @ affine[:3, :3]).sum()
    return float(np.round(along.max() - along.min() + edge, 6))


def metrics(
    objects: list[Object],
    labels: np.ndarray,
    affine: np.ndarray,
    brain_volume: float,
    total: list[str],
) -> dict[str, float | None]:
    """Count, volume, fractions and median sizes per region, per side of it, and in total.

    The total is of the regions that ``total`` names. Fractions are of the brain's volume (grey +
    white matter, mm3) and of the region's own; lengths and widths are medians, None where there is
    no object, as is the fraction of a region that is empty.
    """
    voxel = float(np.prod(voxel_sizes(affine)))
    sizes = voxel * np.bincount(labels.ravel(), minlength=256)
    values = {}
    for name, regions in {"total": total, **{n: [n] for n in legend.names()}}.items():
        own = [o for o in objects if o.region in regions]
        size = sum(sizes[v] for r in regions for v in legend.label_values(r))
        volume = sum(o.volume for o in own)
        told = all(o.fluid is not None for o in own)
        values |= {
            f"epvs_{name}_count": len(own),
            f"epvs_{name}_volume_mm3": volume,
            f"epvs_{name}_fluid_mm3": float(sum(o.fluid for o in own)) if told else None,
            f"epvs_{name}_fraction_brain": volume / brain_volume,
            f"epvs_{name}_fraction_region": volume / size if size else None,
            f"epvs_{name}_length_mm": float(np.median([o.length for o in own])) if own else None,
            f"epvs_{name}_width_mm": float(np.median([o.width for o in own])) if own else None,
        }
    for value, entry in legend.definitions()["labels"].items():
        name, side = entry["region"], entry["side"]
        own = [o.volume for o in objects if (o.region, o.side) == (name, side)]
        values |= {
            f"epvs_{name}_{side}_count": len(own),
            f"epvs_{name}_{side}_volume_mm3": float(sum(own)),
            f"epvs_{name}_{side}_fraction_region": sum(own) / sizes[value]
            if sizes[value]
            else None,
        }
    return checked(values)


def mask_of(objects: list[Object], shape) -> np.ndarray:
    """Number of the object (uint16, from 1) at every voxel, 0 elsewhere."""
    numbers = np.zeros(shape, np.uint16)
    for number, item in enumerate(objects, 1):
        numbers[tuple(item.voxels.T)] = number
    return numbers


def table(objects: list[Object], affine: np.ndarray, to_template) -> list[dict]:
    """One row per object, in the order of `mask_of`.

    ``to_template`` maps world points (n, 3) to template points; both places are of the centroid.
    """
    if not objects:
        return []
    world = np.array([apply_affine(affine, o.voxels.mean(axis=0)) for o in objects])
    mni = to_template(world)
    rows = []
    for number, (item, here, there) in enumerate(zip(objects, world, mni, strict=True), 1):
        rows.append(
            {"object": number, "region": item.region, "side": item.side}
            | {f"mni_{k}": round(float(v), 2) for k, v in zip("xyz", there, strict=True)}
            | {f"t1w_{k}": round(float(v), 2) for k, v in zip("xyz", here, strict=True)}
            | {
                "volume_mm3": round(item.volume, 3),
                "fluid_mm3": None if item.fluid is None else round(item.fluid, 3),
                "length_mm": round(item.length, 3),
                "width_mm": round(item.width, 3),
            }
        )
    return rows


TABLE_COLUMNS = {
    "object": "Number of the object, as in the label image *_desc-EPVS_dseg.nii.gz.",
    "region": "Region that holds most of its voxels.",
    "side": "Side of that region, by anatomy.",
    "mni_x": "Place of the centroid in the template, mm to the right.",
    "mni_y": "Place of the centroid in the template, mm to the front.",
    "mni_z": "Place of the centroid in the template, mm upwards.",
    "t1w_x": "Place of the centroid in the T1w's world coordinates, mm.",
    "t1w_y": "Place of the centroid in the T1w's world coordinates, mm.",
    "t1w_z": "Place of the centroid in the T1w's world coordinates, mm.",
    "volume_mm3": "Volume, mm3: of the network's result the sum of the voxels' shares that it "
    "fills, else of whole voxels.",
    "fluid_mm3": "Volume of CSF that would change the signal of the tissue around as the object "
    "does, mm3; none without white matter to measure CSF against.",
    "length_mm": "Extent along the principal axis, voxel edges included, mm.",
    "width_mm": "Diameter of the cylinder of this length and volume, mm.",
}


def on_image(numbers: np.ndarray, affine: np.ndarray, shape, target: np.ndarray) -> np.ndarray:
    """Label image ``numbers`` on another grid (``shape``, ``target`` affine): nearest voxel."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    inverse = np.linalg.inv(affine)
    voxels = np.round(apply_affine(inverse @ target, index)).astype(int)
    inside = ((voxels >= 0) & (voxels < numbers.shape)).all(axis=-1)
    found = np.zeros(shape, numbers.dtype)
    found[inside] = numbers[tuple(voxels[inside].T)]
    return found
