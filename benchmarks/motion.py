"""Engines of `dwi.motion` against planted motion, and by what they leave in the tensor fit.

    PYTHONPATH=workflow python benchmarks/motion.py OUT.tsv [--engines series ants dipy]
        [--conditions common still ...] [--subjects 2] [--real SERIES.nii.gz ...]

Simulates series (glymph.simulate; eddy currents 2 mm, diffusion images alone) under conditions in
which a head moves little or much, weighting is strong or in shells, directions are few, noise is
high, or volumes are spoilt, and estimates motion with every engine. Prints, per condition and
engine, how far rotation (degrees) and shift (mm, at the head's centre) lie from what was planted,
in the mean and at worst; framewise displacement and the true one; the residual of the tensor fit in
the brain, relative to b = 0, after resampling by each engine; and CPU seconds. --real adds series
of which only the residual and the seconds can be known; bval, bvec and json lie beside them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from glymph.common.gradients import GradientTable, read_fsl
from glymph.common.images import array, load
from glymph.common.sidecars import phase_axis
from glymph.common.spaces import apply_affine
from glymph.dwi import currents, motion
from glymph.dwi.tensor import brain_mask, fit
from glymph.simulate.diffusion import draw_distortion
from glymph.simulate.spec import ScanSpec, SubjectSpec
from glymph.simulate.subject import simulate_subject

SCAN = ScanSpec(
    modalities=("dwi",), dwi_voxel=(2.5,) * 3, atlas_mm=2, eddy_mm=2.0, motion_mm=0.6,
    motion_deg=0.6, n_b0=2,
)  # fmt: skip
CONDITIONS = {
    "common": SCAN,
    "still": replace(SCAN, motion_mm=0, motion_deg=0),
    "moving": replace(SCAN, motion_mm=3, motion_deg=3),
    "few": replace(SCAN, dwi_voxel=(3.0,) * 3, shells=((1500.0, 12),), n_b0=1),
    "strong": replace(SCAN, shells=((3000.0, 32),)),
    "shells": replace(SCAN, shells=((700.0, 12), (2000.0, 24))),
    "noisy": replace(SCAN, snr_dwi=8),
    "oblique": replace(SCAN, dwi_storage="oblique"),
    "spoilt": SCAN,
}


def spoil(data: np.ndarray) -> np.ndarray:
    """Every ninth volume loses the signal of every third slice; the fifth is noise alone."""
    data = data.copy()
    data[:, :, ::3, 8::9] *= 0.1
    data[..., 4] = np.random.default_rng(0).rayleigh(20, data.shape[:3])
    return data


def simulated(condition: str, seed: int):
    """(data, affine, table, axis of phase encoding, true poses, volumes that are sound)."""
    spec = SubjectSpec("x", seed, pitch_deg=5, tracts="curved", scan=CONDITIONS[condition])
    with tempfile.TemporaryDirectory() as folder:
        simulate_subject(spec, f"{folder}/bids", f"{folder}/truth")
        data, affine, table, axis = series(Path(folder) / "bids/sub-x/dwi/sub-x_dwi.nii.gz")
    sound = np.ones(len(table), bool)
    if condition == "spoilt":
        data, sound[4] = spoil(data), False
    return data, affine, table, axis, draw_distortion(spec).motion, sound


def series(path: Path):
    stem = str(path).removesuffix(".nii.gz")
    image = load(path)
    table = read_fsl(f"{stem}.bval", f"{stem}.bvec", image.affine, image.shape[3])
    return array(image), image.affine, table, phase_axis(path, f"{stem}.json")


def estimated(engine: str, data, affine, table: GradientTable, axis: int | None, sound) -> dict:
    """Poses (n, 4, 4), the residual left, and seconds of this process and its children."""
    mask = brain_mask(data[..., table.is_b0].mean(axis=-1), affine)
    centre = apply_affine(affine, np.argwhere(mask).mean(axis=0))
    before = time.process_time()
    matrices = motion.estimate(data, affine, table, engine, mask)
    spent = time.process_time() - before
    poses = currents.separate(matrices, affine, table, axis, centre).poses
    moved = [motion.resample(data[..., v], affine, matrices[v]) for v in np.flatnonzero(sound)]
    turned = motion.rotate_gradients(table, poses).select(np.flatnonzero(sound))
    moved = np.stack(moved, axis=-1)
    b0 = moved[..., turned.is_b0].mean(axis=-1)
    residual = fit(moved, turned, mask)["residual"]
    framewise = [row["framewise_displacement"] for row in motion.displacements(poses, centre)]
    return {
        "poses": poses, "centre": centre, "fd": np.mean(framewise[1:]), "cpu_s": spent,
        "residual_%": 100 * float(np.median(residual[mask] / np.maximum(b0[mask], 1))),
    }  # fmt: skip


def errors(poses, true, centre, sound) -> dict[str, float]:
    turn = np.einsum("nji,njk->nik", true[:, :3, :3], poses[:, :3, :3])
    cosine = (np.trace(turn, axis1=1, axis2=2) - 1) / 2
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))[sound]
    gap = [
        apply_affine(a, centre) - apply_affine(b, centre) for a, b in zip(poses, true, strict=True)
    ]
    shift = np.linalg.norm(gap, axis=1)[sound]
    rows = motion.displacements(true, centre)
    return {
        "rotation_deg": degrees[1:].mean(), "worst_deg": degrees.max(),
        "shift_mm": shift[1:].mean(), "worst_mm": shift.max(),
        "true_fd": np.mean([row["framewise_displacement"] for row in rows[1:]]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--engines", nargs="+", default=["none", "series", "ants"])
    parser.add_argument("--conditions", nargs="*", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--subjects", type=int, default=2)
    parser.add_argument("--real", nargs="*", type=Path, default=[])
    given = parser.parse_args()
    rows = []

    def add(name: str, number: int, *scan, true=None, sound=None) -> None:
        sound = np.ones(len(scan[2]), bool) if sound is None else sound
        for engine in given.engines:
            found = estimated(engine, *scan, sound)
            row = {"condition": name, "subject": number, "engine": engine}
            if true is not None:
                row |= errors(found["poses"], true, found["centre"], sound)
            rows.append(row | {key: found[key] for key in ("fd", "residual_%", "cpu_s")})
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()},
                  flush=True)  # fmt: skip
            pd.DataFrame(rows).to_csv(given.out, sep="\t", index=False, float_format="%.4g")

    for path in given.real:
        add(path.name.removesuffix("_dwi.nii.gz"), 0, *series(path))
    for condition in given.conditions:
        for seed in range(1, given.subjects + 1):
            *scan, true, sound = simulated(condition, seed)
            add(condition, seed, *scan, true=true, sound=sound)
    table = pd.DataFrame(rows).drop(columns="subject")
    print(table.groupby(["condition", "engine"], sort=False).mean().round(3).to_string())


if __name__ == "__main__":
    main()
