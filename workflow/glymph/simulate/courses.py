"""Courses of the fibres outside the two ALPS tracts, as flows through the white matter.

A flow that enters at the cortex and cannot leave the white matter sideways follows the gyri, fans
obliquely through the corona radiata, and keeps its direction along a fibre but not across it. A
wrong gradient table therefore shows, which it would not in a field that is smooth everywhere.
Three flows are mixed: from one hemisphere to the other through the callosum, from the cortex down
to the brain stem, and, in the lateral white matter, from front to back.
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg

from .template import ORIGIN, load_template

STEP = 2
WHITE_SHARE = 0.3
CORTEX_DEPTH_MM = 28.0
STEM_WEIGHT, LONG_WEIGHT = 0.7, 0.5


@lru_cache(maxsize=2)
def dyadic_field(step: int) -> np.ndarray:
    """Mean dyadic of the fibre directions, float32 (x, y, z, 6) as xx, xy, xz, yy, yz, zz.

    Trace 1, on a 2 mm grid in MNI space from the template's origin; outside the white matter the
    value of its nearest voxel. step: that of the template to build it from.
    """
    template = load_template(step)
    skip = slice(None, None, STEP // step)
    wm, gm = (template.fractions[name][skip, skip, skip] for name in ("wm", "gm"))
    labels = ndimage.label(wm > WHITE_SHARE)[0]
    white = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    cortex = (gm > 0.5) & (template.distance > -CORTEX_DEPTH_MM)
    rim = ndimage.binary_dilation(cortex)[white].astype(float)
    places = np.argwhere(white) * float(STEP) + ORIGIN
    dyadics = np.zeros((*white.shape, 6), np.float32)
    dyadics[white] = _mix(_flows(white, rim, places), places)
    nearest = ndimage.distance_transform_edt(~white, return_distances=False, return_indices=True)
    return dyadics[tuple(nearest)]


def _flows(white, rim, places):
    """The three flows (n, 3). rim: 1 where white matter meets cortex; places: MNI mm (n, 3)."""
    x, y, z = places.T
    cerebral = rim * ~((z < -15) & (y < -40))
    stem = (z < -40) & (np.abs(x) < 14) & (y > -50)
    matrix = _laplacian(white)
    sources = (
        rim * np.sign(x) * (z > -20),
        cerebral / cerebral.sum() - stem / stem.sum(),
        rim * np.clip((y + 15) / 40, -1, 1),
    )
    return [_flow(white, matrix, source) for source in sources]


def _mix(flows, places) -> np.ndarray:
    """Mean dyadic (n, 6) of three flows, each weighted by its strength."""
    lateral = 1 / (1 + np.exp((34 - np.abs(places[:, 0])) / 3))
    weights = (1.0, STEM_WEIGHT, LONG_WEIGHT * lateral)
    total = np.full((len(places), 6), 1e-9)
    for flow, weight in zip(flows, weights, strict=True):
        strength = np.linalg.norm(flow, axis=1)
        strength *= 1 / strength.mean()
        x, y, z = flow.T / (np.linalg.norm(flow, axis=1) + 1e-12)
        total += (weight * strength)[:, None] * np.stack(
            [x * x, x * y, x * z, y * y, y * z, z * z], 1
        )
    return total / total[:, [0, 3, 5]].sum(1, keepdims=True)


def _laplacian(white) -> sparse.csr_matrix:
    """Graph Laplacian of the white matter's voxels and their six neighbours."""
    number = np.full(white.shape, -1)
    count = int(white.sum())
    number[white] = np.arange(count)
    pairs = []
    for axis in range(3):
        line = np.moveaxis(number, axis, 0)
        both = (line[:-1] >= 0) & (line[1:] >= 0)
        pairs.append((line[:-1][both], line[1:][both]))
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    links = sparse.coo_matrix((np.ones(len(left)), (left, right)), (count, count)).tocsr()
    links = links + links.T
    degree = np.asarray(links.sum(1)).ravel()
    return (sparse.diags(degree + 1e-6) - links).tocsr()


def _flow(white, matrix, source) -> np.ndarray:
    """Gradient (n, 3) of the potential that a source (n,) causes; nothing crosses the walls."""
    source = (source - source.mean()) / np.abs(source).mean()
    precondition = sparse.diags(1 / matrix.diagonal())
    potential, failed = cg(matrix, source, rtol=1e-4, M=precondition, maxiter=5000)
    if failed:
        raise RuntimeError("the flow through the white matter did not converge")
    whole = np.zeros(white.shape)
    whole[white] = potential
    parts = []
    for axis in range(3):
        line, inside = np.moveaxis(whole, axis, 0), np.moveaxis(white, axis, 0)
        through = np.diff(line, axis=0) * (inside[:-1] & inside[1:])
        mean = np.zeros_like(line)
        mean[:-1] += through / 2
        mean[1:] += through / 2
        parts.append(np.moveaxis(mean, 0, axis)[white])
    return np.stack(parts, 1)
