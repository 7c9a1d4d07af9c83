"""One simulated subject: its BIDS files, and its truth in a folder apart."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from . import diffusion, epvs, structural, tracts
from .anatomy import Anatomy, make_anatomy
from .files import write_image, write_json, write_table, write_text
from .gradients import fsl_bvecs, scheme
from .space import Grid, apply, covering_grid, on_grid, rigid, rotation, store
from .spec import GENERATOR, GENERATOR_VERSION, SubjectSpec, stamp
from .template import BRAIN, ORIGIN

REPETITION_TIME = 8.0
SIDECARS = {
    "T1w": {"RepetitionTime": 2.3, "EchoTime": 0.003, "InversionTime": 0.9, "FlipAngle": 9},
    "T2w": {"RepetitionTime": 3.2, "EchoTime": 0.4, "FlipAngle": 120},
    "FLAIR": {"RepetitionTime": 5.0, "EchoTime": 0.39, "InversionTime": 1.65, "FlipAngle": 120},
    "dwi": {"RepetitionTime": REPETITION_TIME, "EchoTime": 0.085, "FlipAngle": 90},
}
SCANNER = {"Manufacturer": "Simulated", "MagneticFieldStrength": 3, "ConversionSoftware": GENERATOR}
READOUT = {"EffectiveEchoSpacing": 0.00052, "TotalReadoutTime": 0.0494}


def simulate_subject(spec: SubjectSpec, bids_dir, truth_dir) -> dict:
    """Write one subject and return its row of the truth table.

    The images go to `bids_dir/sub-*/[ses-*]`, masks of raters to `bids_dir/derivatives/<rater>`,
    everything known to `truth_dir/sub-*/[ses-*]`. Files of an earlier simulation of the same
    subject and session are removed first; if that one had the same description and all its files
    are still there, nothing is done and its row is returned. Raises FileExistsError where the
    subject's folder exists and no record says that this generator made it.
    """
    bids_dir, truth_dir = Path(bids_dir), Path(truth_dir)
    done = read_finished(spec, bids_dir, truth_dir)
    if done is not None:
        return done
    folders = {"bids": bids_dir.joinpath(*spec.levels), "truth": truth_dir.joinpath(*spec.levels)}
    folders |= {f"rater {r}": rater_folder(spec, r, bids_dir) for r in spec.raters}
    _clear_place(spec, folders, bids_dir, truth_dir)
    _record(spec, folders, bids_dir, truth_dir, row=None)
    anatomy = make_anatomy(spec)
    poses = draw_poses(spec)
    row = _head_row(spec, anatomy, poses)
    row |= _write_structural(spec, anatomy, poses, folders, bids_dir)
    row |= _write_diffusion(spec, anatomy, poses, folders)
    write_json(_truth(spec, folders, "poses.json"), {k: v.tolist() for k, v in poses.items()})
    row = json.loads(json.dumps(row))
    _record(spec, folders, bids_dir, truth_dir, row)
    return row


def rater_folder(spec: SubjectSpec, rater: str, bids_dir: Path) -> Path:
    """Folder of one rater's masks of this subject and session."""
    return bids_dir.joinpath("derivatives", rater, *spec.levels)


def record_path(spec: SubjectSpec, truth_dir: Path) -> Path:
    """File that says how this subject was simulated and whether all of it is there."""
    return truth_dir.joinpath(*spec.levels, f"{spec.entities}_simulation.json")


def read_finished(spec: SubjectSpec, bids_dir: Path, truth_dir: Path) -> dict | None:
    """Row of an identical simulation that is complete, else None."""
    path = record_path(spec, truth_dir)
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    roots = {"bids": bids_dir, "truth": truth_dir}
    whole = all(
        (roots[root] / name).is_file() and (roots[root] / name).stat().st_size == size
        for root, name, size in record["files"]
    )
    return record["row"] if whole and record["stamp"] == stamp(spec) else None


def clear_recorded(path: Path, bids_dir: Path, truth_dir: Path):
    """Remove the folders that a record claims, itself included."""
    roots = {"bids": bids_dir, "truth": truth_dir}
    for root, name in json.loads(path.read_text(encoding="utf-8"))["folders"]:
        shutil.rmtree(roots[root] / name, ignore_errors=True)


def _clear_place(spec, folders, bids_dir, truth_dir):
    path = record_path(spec, truth_dir)
    if path.is_file():
        clear_recorded(path, bids_dir, truth_dir)
    for folder in folders.values():
        if folder.exists():
            raise FileExistsError(f"{folder} was not written by this generator; it stays as it is")


def _record(spec, folders, bids_dir, truth_dir, row):
    """Claim the folders (row None), or list every file in them: written last, that marks them
    complete."""
    roots = {key: ("truth", truth_dir) if key == "truth" else ("bids", bids_dir) for key in folders}
    record = {
        "generator": GENERATOR,
        "version": GENERATOR_VERSION,
        "stamp": stamp(spec),
        "spec": dataclasses.asdict(spec),
        "row": row,
        "folders": [
            (root, folders[key].relative_to(base).as_posix()) for key, (root, base) in roots.items()
        ],
        "files": [
            (root, path.relative_to(base).as_posix(), path.stat().st_size)
            for key, (root, base) in roots.items()
            for path in sorted(folders[key].rglob("*"))
            if path.is_file() and path != record_path(spec, truth_dir)
        ],
    }
    write_json(record_path(spec, truth_dir), record)


def _truth(spec, folders, ending) -> Path:
    return folders["truth"] / f"{spec.entities}_{ending}"


def draw_poses(spec: SubjectSpec) -> dict:
    """Scan -> 4 x 4 from head to scanner mm. T1w has the pose asked for, others moved a little."""
    asked = rigid((spec.pitch_deg, spec.roll_deg, spec.yaw_deg), spec.position_mm)
    poses = {"T1w": asked}
    for name in ("T2w", "FLAIR", "dwi"):
        angles, shift = spec.rng(f"pose:{name}").standard_normal((2, 3))
        size = spec.scan.between_scans
        poses[name] = rigid(0.7 * size * angles, 0.8 * size * shift) @ asked
    return poses


def hull_points(anatomy: Anatomy) -> np.ndarray:
    """Head mm (n, 3) on and in the brain, sparse but reaching every extreme."""
    inside = np.argwhere(anatomy.template.distance < 0)[::40]
    return anatomy.from_mni(ORIGIN + 2.0 * inside)


def anatomical_grid(spec: SubjectSpec, anatomy: Anatomy, pose, name: str) -> Grid:
    """Grid of a structural image: the head with its scalp and a part of the neck."""
    voxel = getattr(spec.scan, f"{name.lower()}_voxel")
    tilt = rotation(*spec.scan.tilt_deg) if spec.scan.anat_storage == "oblique" else None
    points = apply(pose, hull_points(anatomy))
    extent = spec.scan.anat_extent_mm
    return covering_grid(points, voxel, extent, 12.0, tilt, offset_mm=(0, 6, -4))


def diffusion_grid(spec: SubjectSpec, anatomy: Anatomy, pose) -> Grid:
    """Grid of the diffusion series: the whole brain, and the scalp within the slice."""
    tilt = rotation(*spec.scan.tilt_deg) if spec.scan.dwi_storage == "oblique" else None
    points = apply(pose, hull_points(anatomy))
    return covering_grid(points, spec.scan.dwi_voxel, spec.scan.dwi_extent_mm, 5.0, tilt)


def _head_row(spec, anatomy, poses) -> dict:
    row = {
        "participant_id": f"sub-{spec.participant}",
        "session_id": "n/a" if spec.session is None else f"ses-{spec.session}",
        "alps_left": spec.alps_left,
        "alps_right": spec.alps_right,
        "alps_mean": (spec.alps_left + spec.alps_right) / 2,
    }
    found = tracts.of_subject(spec)
    tensors, step = found.tensors, spec.scan.atlas_mm
    at_centre = tracts.region_alps(found, found.centres, step)
    in_region = tracts.region_alps(found, tracts.ROI_CENTRES, step)
    for side in ("left", "right"):
        row |= {
            f"alps_tract_{side}": at_centre[side],
            f"alps_region_{side}": in_region[side],
        }
        projection, association = tensors["projection", side], tensors["association", side]
        row |= {
            f"dxx_projection_{side}": projection[0],
            f"dyy_projection_{side}": projection[1],
            f"dxx_association_{side}": association[0],
            f"dzz_association_{side}": association[2],
        }
    row |= {"pitch_deg": spec.pitch_deg, "roll_deg": spec.roll_deg, "yaw_deg": spec.yaw_deg}
    row |= euler_row(poses["dwi"], "dwi")
    return row | _volumes(anatomy)


def euler_row(pose: np.ndarray, name: str) -> dict:
    """Pitch, roll and yaw in degrees of a head-to-scanner matrix, as columns of `name`."""
    m = pose[:3, :3]
    angles = np.arctan2(m[2, 1], m[2, 2]), -np.arcsin(m[2, 0]), np.arctan2(m[1, 0], m[0, 0])
    keys = ("pitch", "roll", "yaw")
    return {f"{name}_{k}_deg": float(np.rad2deg(a)) for k, a in zip(keys, angles, strict=True)}


def _volumes(anatomy: Anatomy) -> dict:
    """Tissue volumes in mm3, summed on a 2 mm grid in the head frame."""
    points = hull_points(anatomy)
    grid = covering_grid(points, (2.0, 2.0, 2.0), (0, 0, 0), 6.0)
    mni = on_grid(anatomy.to_mni, grid)
    brain = anatomy.sample(anatomy.template.hull.astype(np.float32), mni) > 0.5
    total = {
        name: float(anatomy.sample(anatomy.fractions[name], mni)[brain].sum(dtype=float))
        for name in BRAIN
    }
    mm3 = {name: round(share * grid.volume, 1) for name, share in total.items()}
    return {
        "gm_volume_mm3": mm3["gm"],
        "wm_volume_mm3": mm3["wm"],
        "csf_volume_mm3": mm3["csf"],
        "brain_volume_mm3": round(mm3["gm"] + mm3["wm"], 1),
    }


def _write_structural(spec, anatomy, poses, folders, bids_dir) -> dict:
    """Write T1w, T2w, FLAIR and the truth in T1w space; return the EPVS columns of the row."""
    grid, pose = anatomical_grid(spec, anatomy, poses["T1w"], "T1w"), poses["T1w"]
    tubes, share, objects = epvs.plant(spec, anatomy, grid, pose)
    rows = epvs.describe(tubes, anatomy, grid, pose, objects)
    write_table(_truth(spec, folders, "epvs.tsv"), _epvs_table(rows))
    if "T1w" in spec.scan.modalities:
        mni = structural.mni_on_grid(anatomy, grid, pose)
        image = structural.render(spec, "T1w", anatomy, grid, pose, mni, tubes)
        _save_anatomical(spec, folders, "T1w", image, grid)
        regions = _write_masks(spec, anatomy, folders, grid, mni, share, objects)
        _write_raters(spec, folders, grid, share, objects, regions)
    for name in ("T2w", "FLAIR"):
        if name in spec.scan.modalities:
            own_grid = anatomical_grid(spec, anatomy, poses[name], name)
            mni = structural.mni_on_grid(anatomy, own_grid, poses[name])
            image = structural.render(spec, name, anatomy, own_grid, poses[name], mni, tubes)
            _save_anatomical(spec, folders, name, image, own_grid)
    return _epvs_columns(rows)


def _epvs_table(rows):
    columns = ["object", "region", "mni_x", "mni_y", "mni_z", "t1w_x", "t1w_y", "t1w_z"]
    columns += ["length_mm", "width_mm", "volume_mm3", "mask_voxels"]
    return pd.DataFrame(rows, columns=columns)


def _epvs_columns(rows) -> dict:
    columns = {}
    for label, members in [("total", rows)] + [
        (region.lower(), [r for r in rows if r["region"] == region]) for region in epvs.REGIONS
    ]:
        columns[f"epvs_count_{label}"] = len(members)
        columns[f"epvs_volume_{label}_mm3"] = round(sum(r["volume_mm3"] for r in members), 3)
    return columns


def _save_anatomical(spec, folders, name, image, grid):
    path = folders["bids"] / "anat" / f"{spec.entities}_{name}"
    _save(spec, Path(f"{path}.nii.gz"), image, grid)
    write_json(Path(f"{path}.json"), SCANNER | SIDECARS[name])


def _save(spec, path, data, grid):
    write_image(path, *store(data, grid.affine, spec.scan.anat_storage))


def _write_masks(spec, anatomy, folders, grid, mni, share, objects) -> np.ndarray:
    """Write the truth's masks on the T1w grid; return the region labels (grid.shape)."""
    box, within = _brain_box(mni)
    hull = anatomy.sample(anatomy.template.hull.astype(np.float32), within) > 0.5
    # 1 CSF, 2 grey, 3 white: the order of intensity in T1w.
    csf, gm, wm = (anatomy.sample(anatomy.fractions[k], within) for k in ("csf", "gm", "wm"))
    tissue = (1 + np.argmax(np.stack([csf, gm, wm]), 0)) * hull

    def whole(part):
        values = np.zeros(grid.shape, np.uint8)
        values[box] = part
        return values

    regions = whole(epvs.region_labels(within, gm, wm))
    masks = {
        "label-brain_mask": whole(hull),
        "label-tissue_dseg": whole(tissue),
        "label-region_dseg": regions,
        "label-EPVS_mask": (objects > 0).astype(np.uint8),
        "label-EPVS_dseg": objects,
        "label-EPVS_probseg": share,
    }
    for name, mask in masks.items():
        _save(spec, _truth(spec, folders, f"space-T1w_{name}.nii.gz"), mask, grid)
    return regions


def _brain_box(mni: np.ndarray):
    """Slices of a grid around the brain, and the MNI mm (3, ...) within them."""
    x, y, z = (np.abs(mni[0]) < 76), (mni[1] > -111) & (mni[1] < 77), (mni[2] > -76) & (mni[2] < 86)
    box = ndimage.find_objects((x & y & z).astype(np.uint8))[0]
    return box, mni[(slice(None), *box)]


def _write_raters(spec, folders, grid, share, objects, regions):
    for rater in spec.raters:
        mask = epvs.rater_mask(spec, rater, share, objects, regions > 0)
        name = f"{spec.entities}_label-EPVS_mask.nii.gz"
        _save(spec, folders[f"rater {rater}"] / "anat" / name, mask, grid)


def _write_diffusion(spec, anatomy, poses, folders) -> dict:
    """Write the diffusion series, its tables and sidecars, and their truth."""
    own = tracts.of_subject(spec)
    write_table(_truth(spec, folders, "rois.tsv"), _roi_rows(anatomy, poses, own))
    if "dwi" not in spec.scan.modalities:
        return {"mean_motion_mm": "n/a"}
    grid = diffusion_grid(spec, anatomy, poses["dwi"])
    distortion = diffusion.draw_distortion(spec)
    series, reverse = diffusion.render_dwi(spec, anatomy, grid, poses["dwi"], own, distortion)
    affine = diffusion.stored_affine(grid, spec.scan)
    stored, stored_affine = store(series, affine, spec.scan.dwi_storage)
    path = folders["bids"] / "dwi" / f"{spec.entities}_dwi"
    write_image(Path(f"{path}.nii.gz"), stored, stored_affine, REPETITION_TIME)
    bvals, vectors = scheme(spec.scan)
    table = fsl_bvecs(vectors, stored_affine)
    write_text(Path(f"{path}.bval"), " ".join(f"{b:g}" for b in bvals) + "\n")
    lines = [" ".join(f"{v:.8f}" for v in row) for row in table]
    write_text(Path(f"{path}.bvec"), "\n".join(lines) + "\n")
    write_json(Path(f"{path}.json"), _dwi_sidecar(spec, diffusion.PHASE_POLARITY))
    if reverse is not None:
        _write_reverse(spec, folders, reverse, affine)
    write_table(_truth(spec, folders, "motion.tsv"), _motion_rows(bvals, vectors, distortion))
    return {"mean_motion_mm": float(np.linalg.norm(distortion.motion[:, :3, 3], axis=1).mean())}


def _dwi_sidecar(spec, polarity) -> dict:
    direction = {"PhaseEncodingDirection": diffusion.phase_encoding(spec.scan, polarity)}
    return SCANNER | SIDECARS["dwi"] | READOUT | direction


def _write_reverse(spec, folders, image, affine):
    path = folders["bids"] / "fmap" / f"{spec.entities}_dir-PA_epi"
    write_image(Path(f"{path}.nii.gz"), *store(image, affine, spec.scan.dwi_storage))
    target = "/".join([*spec.levels[1:], "dwi", f"{spec.entities}_dwi.nii.gz"])
    sidecar = _dwi_sidecar(spec, -diffusion.PHASE_POLARITY) | {"IntendedFor": [target]}
    write_json(Path(f"{path}.json"), sidecar)


def _roi_rows(anatomy, poses, own) -> list[dict]:
    """A row per region: its place and that of the tract it is for, and the tensor there."""
    rows = []
    for (tract, side), centre in tracts.ROI_CENTRES.items():
        row = {"tract": tract, "side": side}
        row |= _places(anatomy, poses, np.array([centre]))
        found = _places(anatomy, poses, own.centres[tract, side][None])
        row |= {f"tract_{name}": value for name, value in found.items()}
        rows.append(row | dict(zip(("dxx", "dyy", "dzz"), own.tensors[tract, side], strict=True)))
    return rows


def _places(anatomy, poses, mni) -> dict:
    """Coordinates of one MNI point (1, 3) in MNI, and in the T1w's and the DWI's world."""
    head = anatomy.from_mni(mni)
    places = {"mni": mni, "t1w": apply(poses["T1w"], head), "dwi": apply(poses["dwi"], head)}
    return {
        f"{frame}_{k}": round(float(v), 4)
        for frame, place in places.items()
        for k, v in zip("xyz", place[0], strict=True)
    }


def _motion_rows(bvals, vectors, distortion) -> list[dict]:
    keys = ("pitch_deg", "roll_deg", "yaw_deg", "x_mm", "y_mm", "z_mm")
    eddy = ("eddy_x", "eddy_y", "eddy_z", "eddy_shift_mm")
    rows = []
    for k, b in enumerate(bvals):
        row = {"volume": k, "b": b} | dict(zip(("gx", "gy", "gz"), vectors[k], strict=True))
        row |= dict(zip(keys, distortion.motion_parameters[k], strict=True))
        rows.append(row | dict(zip(eddy, distortion.eddy[k], strict=True)))
    return rows
