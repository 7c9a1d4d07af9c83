"""ALPS against planted displacement and over repeated noise, with regions fixed and adaptive.

    python benchmarks/alps_placement.py OUT.tsv [--subjects 6] [--repeats 3] [--voxel 2] [--snr 25]
        [--directions 25] [--b 1000]

Simulates heads with curved and with uniform tracts (glymph.simulate) without motion and without
deformation, so that the way to the template is known exactly, fits the tensor, and takes ALPS with
regions displaced by 0, 2, 4 and 6 mm in random directions. Prints, per kind of tract and
displacement, the error of both placements in template axes against the index at the tract's centre,
how far off the centre the regions lie (across the tract), and for every version of the index its
error and its coefficient of variation over repeats: same head, other noise. What it cannot show is
the error of a registration; `demo_truth.py` shows the whole chain.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from glymph.alps.index import Limits, Space, compute
from glymph.alps.roi import load_rois
from glymph.common.gradients import read_fsl
from glymph.common.images import array, load
from glymph.common.names import ALPS_AXES, HEMISPHERES, PLACEMENTS, alps_version
from glymph.common.spaces import apply_affine, write_itk_affine
from glymph.common.tensors import as_matrices
from glymph.dwi.tensor import fit
from glymph.simulate import tracts
from glymph.simulate.anatomy import make_anatomy
from glymph.simulate.spec import ScanSpec, SubjectSpec
from glymph.simulate.subject import simulate_subject

DISPLACEMENTS_MM = (0.0, 2.0, 4.0, 6.0)
NEAR_MM = (60.0, 25.0, 25.0)
CENTRE = np.array([0.0, -12.0, 24.0])
WIDE_OPEN = Limits(coverage=0.1, angle=90, fa=0)
STUDY = load_rois({"rois": "study"})


def spec_of(kind: str, seed: int, repeat: int, given) -> SubjectSpec:
    scan = ScanSpec(
        modalities=("dwi",), dwi_voxel=(given.voxel,) * 3, dwi_extent_mm=(0, 0, 0), atlas_mm=2,
        shells=((given.b, given.directions),), snr_dwi=given.snr, motion_mm=0, motion_deg=0,
        eddy_mm=0, between_scans=0,
    )  # fmt: skip
    return SubjectSpec(
        "x", seed, scan_seed=1000 * seed + repeat, pitch_deg=5, yaw_deg=3, deformation_mm=0,
        tracts=kind, scan=scan,
    )  # fmt: skip


def measured(spec: SubjectSpec) -> tuple[dict, np.ndarray, np.ndarray]:
    """Tensor maps about the regions, their affine, and the 4x4 map of DWI points to MNI points."""
    with tempfile.TemporaryDirectory() as folder:
        simulate_subject(spec, f"{folder}/bids", f"{folder}/truth")
        stem = f"{folder}/bids/sub-x/dwi/sub-x_dwi"
        image = load(f"{stem}.nii.gz")
        data = array(image)
        table = read_fsl(f"{stem}.bval", f"{stem}.bvec", image.affine, image.shape[3])
        poses = Path(folder) / "truth" / "sub-x" / "sub-x_poses.json"
        pose = np.array(json.loads(poses.read_text(encoding="utf-8"))["dwi"])
    to_mni = np.diag([*1 / make_anatomy(spec).scale, 1]) @ np.linalg.inv(pose)
    voxels = np.stack(np.meshgrid(*map(np.arange, data.shape[:3]), indexing="ij"), axis=-1)
    near = np.abs(apply_affine(to_mni @ image.affine, voxels) - CENTRE) < NEAR_MM
    mask = near.all(axis=-1) & (data[..., 0] > 800)
    maps = fit(data, table, mask)
    return maps | {"tensor": as_matrices(maps["tensor"])}, image.affine, to_mni


def displaced(to_mni: np.ndarray, shift: np.ndarray, folder: str) -> tuple[str, np.ndarray]:
    """An ITK file of the way to a template whose regions land ``shift`` mm off, and its turn."""
    moved = to_mni.copy()
    moved[:3, 3] -= shift
    path = f"{folder}/to_template.mat"
    write_itk_affine(path, moved)
    turn = np.diag(1 / np.linalg.norm(moved[:3, :3], axis=1)) @ moved[:3, :3]
    return path, turn


def rows_of(kind: str, seed: int, repeat: int, given) -> list[dict]:
    """One row per displacement and hemisphere."""
    spec = spec_of(kind, seed, repeat, given)
    maps, affine, to_mni = measured(spec)
    own = tracts.of_subject(spec)
    truth = tracts.region_alps(own, own.centres, spec.scan.atlas_mm)
    rng = np.random.default_rng(seed)
    rows = []
    for length in DISPLACEMENTS_MM:
        direction = rng.standard_normal(3)
        shift = length * direction / np.linalg.norm(direction)
        with tempfile.TemporaryDirectory() as folder:
            path, turn = displaced(to_mni, shift, folder)
            space = Space(affine, [(path, False)], [(path, True)], turn)
            found = compute(maps, space, STUDY, "template", WIDE_OPEN)
        for side in HEMISPHERES:
            row = {"kind": kind, "seed": seed, "repeat": repeat, "displacement": length,
                   "side": side, "true": truth[side]}  # fmt: skip
            row |= {
                alps_version(placement, axes): found.values[
                    f"alps_{alps_version(placement, axes)}_{side}"
                ]
                for placement, axes in product(PLACEMENTS, ALPS_AXES)
            }
            rows.append(row | _distances(found.shifts, own, shift, side))
    return rows


def _distances(shifts: dict, own, shift: np.ndarray, side: str) -> dict[str, float]:
    """Sideways distance in mm of each region from its tract's centre, as carried and as placed."""
    distances = {}
    for tract in ("projection", "association"):
        start = np.array(tracts.ROI_CENTRES[tract, side]) + shift
        centre = np.asarray(own.centres[tract, side])
        distances[f"off_fixed_{tract}"] = abs(start - centre)[0]
        distances[f"off_adaptive_{tract}"] = abs(start + shifts[f"{side}_{tract}"] - centre)[0]
    return distances


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Error of ALPS in template axes, and distance off the tract, per kind and displacement."""
    rows = []
    for (kind, length), part in table.groupby(["kind", "displacement"]):
        row = {"tracts": kind, "displaced mm": length, "n": len(part)}
        for placement in PLACEMENTS:
            error = part[alps_version(placement, "template")] - part["true"]
            off = part[[f"off_{placement}_{t}" for t in ("projection", "association")]]
            row |= {f"{placement} mean": error.mean(), f"{placement} absolute": error.abs().mean(),
                    f"{placement} mm off": off.to_numpy().mean()}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def versions(table: pd.DataFrame) -> pd.DataFrame:
    """Of every version, undisplaced: mean error, and coefficient of variation in % over repeats,
    which differ in noise alone."""
    names = [alps_version(placement, axes) for placement, axes in product(PLACEMENTS, ALPS_AXES)]
    still = table[table["displacement"] == 0]
    groups = still.groupby(["kind", "seed", "side"])[names]
    spread = (100 * groups.std() / groups.mean()).groupby("kind").mean().T.add_prefix("CV % ")
    errors = still[names].sub(still["true"], axis=0).groupby(still["kind"]).mean().T
    return errors.add_prefix("error ").join(spread)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--subjects", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--voxel", type=float, default=2.0)
    parser.add_argument("--snr", type=float, default=25.0)
    parser.add_argument("--directions", type=int, default=25)
    parser.add_argument("--b", type=float, default=1000.0)
    given = parser.parse_args()
    rows = []
    for kind in ("curved", "uniform"):
        for seed, repeat in product(range(1, given.subjects + 1), range(given.repeats)):
            rows += rows_of(kind, seed, repeat, given)
            print(f"{kind} tracts: head {seed}, repeat {repeat + 1}", flush=True)
            pd.DataFrame(rows).to_csv(given.out, sep="\t", index=False)
    table = pd.DataFrame(rows)
    print(summary(table).to_string(index=False, float_format="{:.3f}".format))
    print(f"\n{versions(table).to_string(float_format='{:.3f}'.format)}")


if __name__ == "__main__":
    main()
