"""Diffusion in the white matter as a whole: PSMD, and FA and MD of what looks normal."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from glymph.common.images import array
from glymph.common.registry import checked
from glymph.common.spaces import apply_affine, map_points, voxel_sizes
from glymph.common.template import Template

SKELETON_STEP_MM = 2
RIDGE_SD_MM = 2.0
LEAST_WM, LEAST_FA = 0.6, 0.2
SEARCH_MM = 4
PERCENTILES = (5, 95)
LEAST_SHARE = 0.5
SURE_WM, BORDER_MM = 0.95, 2.0

Maps = dict[str, np.ndarray]
"""``fa`` and ``md`` (x, y, z) on the DWI's grid; MD is 0 where there is no tensor."""


def skeleton(template: Template) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) in template mm on the middle sheets of the white matter, and the unit vectors
    (n, 3) across the sheets.

    The template's smoothed white-matter probability stands for a mean FA map: its ridges are the
    voxels of a 2 mm grid that no neighbour across the sheet exceeds, the direction across being
    that of the sharpest fall (eigenvector of the Hessian).
    """
    wm, affine = array(template.wm), template.wm.affine
    sizes = voxel_sizes(affine)
    smooth = ndimage.gaussian_filter(wm.astype(np.float32), RIDGE_SD_MM / sizes)
    every = np.maximum(np.rint(SKELETON_STEP_MM / sizes).astype(int), 1)
    on_grid = np.zeros(wm.shape, bool)
    on_grid[tuple(slice(None, None, n) for n in every)] = True
    voxels = np.argwhere(on_grid & (smooth > LEAST_WM))
    across = _sharpest_fall(smooth, sizes, voxels)
    steps = across / sizes * SKELETON_STEP_MM
    here = smooth[tuple(voxels.T)]
    beside = [
        ndimage.map_coordinates(smooth, (voxels + sign * steps).T, order=1) for sign in (-1, 1)
    ]
    ridge = (here >= beside[0]) & (here >= beside[1])
    axes = affine[:3, :3] / sizes
    return apply_affine(affine, voxels[ridge]), across[ridge] @ axes.T


def _sharpest_fall(smooth: np.ndarray, sizes: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) along the image axes in which the second derivative is most negative."""
    hessian = np.empty((len(voxels), 3, 3))
    for i, first in enumerate(np.gradient(smooth, *sizes)):
        for j, second in enumerate(np.gradient(first, *sizes)):
            hessian[:, i, j] = second[tuple(voxels.T)]
    return np.linalg.eigh((hessian + hessian.transpose(0, 2, 1)) / 2)[1][:, :, 0]


def psmd(
    maps: Maps, affine: np.ndarray, template: Template, from_template: list
) -> dict[str, float | None]:
    """Peak width of skeletonised MD, and the share of the skeleton that the DWI shows.

    From every point of the `skeleton` the largest FA within 4 mm across the sheet is sought, as
    TBSS does, and MD is read there; PSMD is the range from the 5th to the 95th percentile of MD
    where FA is above 0.2. ``from_template``: transform chain for `map_points`. None where less than
    half of the skeleton is seen.

    Source: Baykara 2016 (10.1002/ana.24758). Other than there, the skeleton is that of the
    template's white matter, not of a mean FA map, FA and MD are read in the DWI itself and not in
    resampled images, and no mask of the tool's own is applied.
    """
    points, across = skeleton(template)
    offsets = np.arange(-SEARCH_MM, SEARCH_MM + 1)
    places = points[:, None] + offsets[:, None] * across[:, None]
    world = map_points(places.reshape(-1, 3), from_template)
    found = {
        name: read.reshape(len(points), -1) for name, read in _read(maps, affine, world).items()
    }
    best = np.argmax(found["fa"], axis=1)
    rows = np.arange(len(points))
    fa, md = found["fa"][rows, best], found["md"][rows, best]
    share = float(np.mean(md > 0))
    counted = md[(md > 0) & (fa > LEAST_FA)]
    if share < LEAST_SHARE or not len(counted):
        return checked({"psmd": None, "psmd_coverage": share})
    low, high = np.percentile(counted, PERCENTILES)
    return checked({"psmd": float(high - low), "psmd_coverage": share})


def normal_appearing(
    maps: Maps,
    affine: np.ndarray,
    wm: tuple[np.ndarray, np.ndarray],
    lesions: tuple[np.ndarray, np.ndarray] | None,
    to_dwi: list,
) -> dict[str, float | None]:
    """Mean FA and MD of white matter that is neither lesion nor next to anything else.

    ``wm``: its probability (x, y, z) in the T1w and that grid's affine; ``lesions``: a mask and its
    affine in the same world, or None. White matter is sure (0.95), and 2 mm from what is not and
    from lesions: a usual DWI voxel. ``to_dwi``: chain of transforms
    from the T1w's world to the DWI's. None where nothing is left.
    """
    probability, grid = wm
    inside = probability > SURE_WM
    if lesions is not None:
        voxels = np.argwhere(inside)
        there = np.linalg.inv(lesions[1]) @ grid
        mask = lesions[0].astype(np.float32)
        hit = ndimage.map_coordinates(mask, apply_affine(there, voxels).T, order=0) > 0
        inside[tuple(voxels[hit].T)] = False
    sizes = voxel_sizes(grid)
    deep = ndimage.distance_transform_edt(inside, sampling=sizes) > BORDER_MM
    world = map_points(apply_affine(grid, np.argwhere(deep)), to_dwi)
    found = _read(maps, affine, world)
    seen = found["md"] > 0
    if not seen.any():
        return checked(dict.fromkeys(("nawm_fa", "nawm_md", "nawm_volume_mm3")))
    return checked(
        {
            "nawm_fa": float(found["fa"][seen].mean()),
            "nawm_md": float(found["md"][seen].mean()),
            "nawm_volume_mm3": float(seen.sum() * np.prod(sizes)),
        }
    )


def _read(maps: Maps, affine: np.ndarray, world: np.ndarray) -> Maps:
    """FA and MD (n,) at points of the DWI's world; 0 where any neighbour has no tensor."""
    voxels = apply_affine(np.linalg.inv(affine), world).T
    whole = ndimage.map_coordinates((maps["md"] > 0).astype(np.float32), voxels, order=1) > 0.999
    return {
        name: np.where(whole, ndimage.map_coordinates(maps[name], voxels, order=1), 0)
        for name in ("fa", "md")
    }
