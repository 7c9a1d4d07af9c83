"""Where the roof of the lateral ventricles lies: the centrum semiovale begins above it.

Ventricles grow with age and with the disease that is studied. A level fixed in the template would
put more white matter beside the ventricles into the centrum semiovale of one group than of another.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

FLUID = 0.5
ZONE_MM = ((3.0, 30.0), (-45.0, 35.0), (14.0, 50.0))
"""Template |x|, y and z that hold the bodies and frontal horns: above the third ventricle, through
which they are joined to the sulci, without the fissure between the hemispheres and the insula."""
LOW_MM = 26.0
"""Below this template z there is no other fluid in the zone."""
LEAST_VOXELS = 200
"""Ventricles of fewer voxels (0.2 ml a side) cannot be told from noise."""
LEAST_AREA_MM2 = 15.0
"""What a level must show of the ventricle to be below its roof: no single row of voxels."""
BELIEVED_MM = (18.0, 48.0)
"""Template z between which a roof is believed; another is an error of tissue or registration."""


def find_roofs(
    csf: np.ndarray, template_points: np.ndarray, height: np.ndarray
) -> dict[str, float | None]:
    """Level (template mm) of the roof of each lateral ventricle, "left" and "right".

    ``csf``: share of fluid (x, y, z) on a grid of 1 mm; ``template_points`` (3, x, y, z): template
    x, y, z of every voxel by the whole registration, which says where a ventricle may be;
    ``height``: template z by the affine alone, in which its roof is measured (by the whole
    registration all ventricles would have the template's). None where no ventricle is found.
    """
    x, y, z = template_points
    (inner, outer), *others = ZONE_MM
    zone = (np.abs(x) >= inner) & (np.abs(x) <= outer) & (csf > FLUID)
    for values, (low, high) in zip((y, z), others, strict=True):
        zone &= (values >= low) & (values <= high)
    return {
        side: _roof(zone & (x < 0 if side == "left" else x > 0), z, height)
        for side in ("left", "right")
    }


def _roof(fluid: np.ndarray, z: np.ndarray, height: np.ndarray) -> float | None:
    parts, count = ndimage.label(fluid)
    if not count:
        return None
    low = np.bincount(parts[fluid & (z < LOW_MM)], minlength=count + 1)
    if low.max() < LEAST_VOXELS:
        return None
    levels = np.floor(height[parts == np.argmax(low)]).astype(int)
    found, area = np.unique(levels, return_counts=True)
    wide = found[area >= LEAST_AREA_MM2]
    roof = float(wide.max() + 0.5) if len(wide) else np.nan
    return roof if BELIEVED_MM[0] <= roof <= BELIEVED_MM[1] else None
