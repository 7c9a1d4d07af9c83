"""Diffusion-weighted volumes of a moving head, with eddy-current and susceptibility distortion.

The signal is computed for each volume on a lattice in the head frame, with the gradient turned
into that volume's head axes, and then sampled where the distorted, moved voxels really lie.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from . import fibres
from .anatomy import Anatomy
from .gradients import scheme
from .space import Grid, apply, on_grid, parse_storage, rigid
from .spec import ScanSpec, SubjectSpec
from .structural import bias_field, rician

# Signal without diffusion weighting; fat is suppressed.
B0_SIGNAL = {"wm": 3000, "gm": 3900, "csf": 9500, "fat": 300, "muscle": 800, "eye": 8500}
ADC = {"gm": 0.8e-3, "csf": 3.0e-3, "fat": 0.1e-3, "muscle": 1.4e-3, "eye": 2.8e-3}
PHASE_AXIS = 1
PHASE_POLARITY = -1
EDDY_REACH_MM = 80.0


@dataclass(frozen=True)
class Lattice:
    """Signal sources on a grid in the head frame.

    affine: 4 x 4 lattice index to head mm. isotropic: b-value -> float32 signal of all but white
    matter. voxels: flat index (n,) of white matter. white: its signal (n,) at b = 0. tensors:
    (n, 6) in mm2/s, anatomical axes.
    """

    affine: np.ndarray
    isotropic: dict
    voxels: np.ndarray
    white: np.ndarray
    tensors: np.ndarray


@dataclass(frozen=True)
class Distortion:
    """Per volume: motion (n, 4, 4) of the head in the scanner, and eddy terms (n, 4).

    An eddy row holds, along the phase axis, mm of shift per mm along each grid axis, and a shift
    in mm.
    """

    motion: np.ndarray
    motion_parameters: np.ndarray
    eddy: np.ndarray


def draw_distortion(spec: SubjectSpec) -> Distortion:
    """Head motion as a slow random walk from the first volume, eddy terms linear in b and g."""
    scan = spec.scan
    bvals, vectors = scheme(scan)
    n = len(bvals)
    rng = spec.rng("motion")
    walk = np.zeros((n, 6))
    for k in range(1, n):
        walk[k] = 0.9 * walk[k - 1] + np.sqrt(1 - 0.9**2) * rng.standard_normal(6)
    walk *= [scan.motion_deg] * 3 + [scan.motion_mm] * 3
    motion = np.stack([rigid(row[:3], row[3:]) for row in walk])
    response = spec.rng("eddy").uniform(-1, 1, (3, 4))
    response *= scan.eddy_mm * np.array([1 / EDDY_REACH_MM] * 3 + [0.6])
    eddy = (vectors * (bvals / 1000)[:, None]) @ response
    return Distortion(motion, walk, eddy)


def build_lattice(anatomy: Anatomy, grid: Grid, pose: np.ndarray, tracts, bvals) -> Lattice:
    """Signals and tensors on a head-frame lattice that covers the grid."""
    corners = np.array(np.meshgrid(*[(-1, n) for n in grid.shape])).reshape(3, -1).T
    head = apply(np.linalg.inv(pose) @ grid.affine, corners.astype(float))
    low = np.maximum(head.min(0) - 4, [-98, -130, -140])
    high = np.minimum(head.max(0) + 4, [98, 116, 104])
    step = float(np.clip(0.75 * grid.voxel.min(), 1.0, 1.5))
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low
    lattice = Grid(tuple(int(n) for n in np.ceil((high - low) / step)), affine)
    mni = on_grid(anatomy.to_mni, lattice)
    gm, wm = (anatomy.sample(anatomy.fractions[name], mni) for name in ("gm", "wm"))
    core = _purify_tracts(tracts, mni, gm, wm)
    isotropic = {b: _isotropic(anatomy, mni, gm, core, b) for b in bvals}
    voxels = np.flatnonzero(wm > 0.01)
    points = mni.reshape(3, -1)[:, voxels].T
    tensors = fibres.white_matter_tensors(points, tracts, anatomy.template.step)
    white = np.float32(B0_SIGNAL["wm"]) * wm.reshape(-1)[voxels]
    return Lattice(affine, isotropic, voxels, white, tensors)


def _purify_tracts(tracts, mni, gm, wm) -> np.ndarray:
    """Clean tissue where the truth is defined, in place: in a tract grey matter counts as white,
    and close to an ROI centre everything does. Returns the flat index of the latter voxels."""
    points, gm, wm = mni.reshape(3, -1), gm.reshape(-1), wm.reshape(-1)
    near = np.flatnonzero((np.abs(points[0]) < 50) & (np.abs(points[1] + 11) < 22))
    places = points[:, near].T
    tract = near[tracts.inside(places)]
    wm[tract] += gm[tract]
    gm[tract] = 0
    core = near[tracts.core(places)]
    wm[core] = 1
    gm[core] = 0
    return core


def _isotropic(anatomy, mni, gm, core, b) -> np.ndarray:
    """Signal of all but white matter on the lattice; none in the tracts' core."""
    signal = {name: np.float32(B0_SIGNAL[name] * np.exp(-b * ADC[name])) for name in ADC}
    rest = sum(signal[name] * anatomy.fractions[name] for name in ADC if name != "gm")
    values = anatomy.sample(rest, mni)
    values.reshape(-1)[core] = 0
    return values + signal["gm"] * gm


def _volume_signal(lattice: Lattice, b, direction) -> np.ndarray:
    """Signal on the lattice for a b-value and a unit direction in head axes."""
    signal = lattice.isotropic[b].copy()
    x, y, z = direction
    products = np.float32([x * x, 2 * x * y, 2 * x * z, y * y, 2 * y * z, z * z])
    decay = np.exp(np.float32(-b) * (lattice.tensors @ products))
    signal.reshape(-1)[lattice.voxels] += lattice.white * decay
    return signal


def susceptibility_mm(mni: np.ndarray) -> np.ndarray:
    """Relative field shift (largest 1) at MNI points (..., 3): sinuses, ear canals, gentle rest."""
    sources = (((0, 48, -24), 20, 1.0), ((52, -18, -36), 15, 0.6), ((-52, -18, -36), 15, 0.6))
    total = 0.03 * np.sin(mni[..., 1] / 45) * np.cos(mni[..., 2] / 40)
    for centre, width, height in sources:
        squared = ((mni - np.array(centre, float)) ** 2).sum(-1)
        total = total + height * np.exp(-squared / (2 * width**2))
    return total


def _static_source(spec, anatomy, grid, pose, polarity):
    """Where each distorted voxel comes from: shift along the phase axis in voxels, and the
    intensity factor of the squeezed or stretched voxel. (None, 1) without distortion."""
    largest = spec.scan.susceptibility_mm
    if largest == 0:
        return None, np.float32(1)
    to_head = np.linalg.inv(pose)
    shift = on_grid(
        lambda p: largest * susceptibility_mm(anatomy.to_mni(apply(to_head, p)))[:, None], grid
    )[0] / np.float32(polarity * grid.voxel[PHASE_AXIS])
    index = np.indices(grid.shape, dtype=np.float32)
    distorted = index[PHASE_AXIS].copy()
    back = shift.copy()
    for _ in range(30):
        index[PHASE_AXIS] = distorted - back
        back = ndimage.map_coordinates(shift, index, order=1, mode="nearest")
    factor = np.clip(1 - np.gradient(back, axis=PHASE_AXIS), 0, None)
    return back, factor.astype(np.float32)


def _eddy_matrix(terms: np.ndarray, grid: Grid) -> np.ndarray:
    """4 x 4 from distorted to undistorted voxel indices."""
    voxel = np.append(grid.voxel, 1.0)
    forward = np.eye(4)
    forward[PHASE_AXIS] += terms * voxel / voxel[PHASE_AXIS]
    centre = np.eye(4)
    centre[:3, 3] = (np.array(grid.shape) - 1) / 2
    return centre @ np.linalg.inv(forward) @ np.linalg.inv(centre)


def _sample(signal, matrix, back, grid) -> np.ndarray:
    """Lattice signal at the voxels; matrix: 4 x 4 from undistorted voxel to lattice index."""
    if back is None:
        return ndimage.affine_transform(
            signal, matrix[:3, :3], matrix[:3, 3], grid.shape, order=1, mode="constant"
        )
    axes = [np.arange(n, dtype=np.float32) for n in grid.shape]
    index = np.stack(np.meshgrid(*axes, indexing="ij"))
    index[PHASE_AXIS] -= back
    points = np.tensordot(matrix[:3, :3].astype(np.float32), index, 1)
    points += matrix[:3, 3].astype(np.float32)[:, None, None, None]
    return ndimage.map_coordinates(signal, points, order=1)


def render_dwi(spec: SubjectSpec, anatomy, grid: Grid, pose, tracts, distortion: Distortion):
    """The diffusion series as int16 (*shape, n) and the reverse-phase b = 0 volume or None.

    The shape is the grid's, times `dwi_zero_fill` within the slice.
    """
    bvals, vectors = scheme(spec.scan)
    lattice = build_lattice(anatomy, grid, pose, tracts, {0.0, *bvals.tolist()})
    bias = 1 if spec.scan.snr_dwi is None else bias_field(spec, "dwi", grid)
    to_lattice = np.linalg.inv(lattice.affine)

    def volume(b, vector, motion, eddy, static, stream):
        moved = motion @ pose
        signal = _volume_signal(lattice, b, moved[:3, :3].T @ vector)
        back, factor = static
        unbend = _eddy_matrix(eddy, grid)
        matrix = to_lattice @ np.linalg.inv(moved) @ grid.affine @ unbend
        stretch = np.float32(unbend[PHASE_AXIS, PHASE_AXIS])
        image = _sample(signal, matrix, back, grid) * factor * stretch * bias
        return _finish(image, spec, stream)

    static = _static_source(spec, anatomy, grid, pose, PHASE_POLARITY)
    rows = zip(bvals.tolist(), vectors, distortion.motion, distortion.eddy, strict=True)
    volumes = [volume(*row, static, f"noise:dwi{k}") for k, row in enumerate(rows)]
    reverse = None
    if spec.scan.reverse_b0:
        static = _static_source(spec, anatomy, grid, pose, -PHASE_POLARITY)
        still = (np.zeros(3), np.eye(4), np.zeros(4))
        reverse = volume(0.0, *still, static, "noise:reverse")
    return np.stack(volumes, -1), reverse


def _finish(image, spec, stream) -> np.ndarray:
    snr = spec.scan.snr_dwi
    if snr is not None:
        image = rician(image, B0_SIGNAL["wm"] / snr, spec.rng(stream))
    image = _zero_fill(image, spec.scan.dwi_zero_fill)
    return np.clip(np.round(image), 0, 32767).astype(np.int16)


def _zero_fill(image: np.ndarray, factor: int) -> np.ndarray:
    """Interpolate each slice by padding its spectrum with zeros; sample 0 keeps its place."""
    if factor == 1:
        return image
    n, m = image.shape[:2]
    spectrum = np.fft.fftshift(np.fft.fft2(image, axes=(0, 1)), axes=(0, 1))
    wide = [(s * factor // 2 - s // 2, s * factor - s - (s * factor // 2 - s // 2)) for s in (n, m)]
    padded = np.fft.ifftshift(np.pad(spectrum, [*wide, (0, 0)]), axes=(0, 1))
    return np.abs(np.fft.ifft2(padded, axes=(0, 1)).real * factor**2).astype(np.float32)


def stored_affine(grid: Grid, scan: ScanSpec) -> np.ndarray:
    """Affine of the written series, in x, y, z order."""
    return grid.affine @ np.diag([1 / scan.dwi_zero_fill, 1 / scan.dwi_zero_fill, 1, 1])


def phase_encoding(scan: ScanSpec, polarity: int) -> str:
    """BIDS PhaseEncodingDirection for the stored axes; polarity -1 is front to back."""
    for letter, (axis, sign) in zip("ijk", parse_storage(scan.dwi_storage), strict=True):
        if axis == PHASE_AXIS:
            return letter if sign * polarity > 0 else f"{letter}-"
    raise AssertionError("every storage order has a front-back axis")
