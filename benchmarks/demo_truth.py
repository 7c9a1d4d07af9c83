"""Compare a run on a simulated cohort with its truth, and say so in a table.

    python benchmarks/demo_truth.py RESULTS_DIR TRUTH_DIR

Prints, per version, the error of ALPS per hemisphere over all subjects that have both, the
error of brain volume, the distance between true and found places of the regions, and how the
perivascular spaces agree with the planted ones. Writes the rows to RESULTS_DIR/group/truth.tsv.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from glymph.common.errors import read_stop
from glymph.common.names import ALPS_AXES, PLACEMENTS, alps_version
from glymph.epvs.agreement import compare
from glymph.epvs.census import on_image

VERSIONS = [alps_version(placement, axes) for placement, axes in product(PLACEMENTS, ALPS_AXES)]
SIDES = ("left", "right")
KEYS = ["participant_id", "session_id"]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype=dict.fromkeys(KEYS, str))


def alps_errors(both: pd.DataFrame) -> pd.DataFrame:
    """One row per version: mean, mean absolute and worst error over hemispheres."""
    rows = []
    for version in VERSIONS:
        errors = np.concatenate(
            [both[f"alps_{version}_{side}"] - both[f"true_alps_{side}"] for side in SIDES]
        )
        errors = errors[np.isfinite(errors)]
        rows.append(
            {
                "version": version,
                "n": len(errors),
                "mean error": errors.mean(),
                "mean absolute": abs(errors).mean(),
                "worst": abs(errors).max(),
            }
        )
    return pd.DataFrame(rows)


def region_distances(results: Path, truth: Path, both: pd.DataFrame) -> list[float]:
    """Distance in mm of each found region's centre from the true one, in the DWI's world."""
    found = []
    for _, row in both.iterrows():
        folder = Path(*[part for part in row[KEYS] if isinstance(part, str)])
        prefix = "_".join(folder.parts)
        weights = results / folder / "dwi" / f"{prefix}_desc-alps_probseg.nii.gz"
        places = truth / folder / f"{prefix}_rois.tsv"
        if weights.is_file() and places.is_file():
            found += _distances(nib.load(weights), pd.read_csv(places, sep="\t"))
    return found


def _distances(regions: nib.Nifti1Image, places: pd.DataFrame) -> list[float]:
    data, distances = np.asanyarray(regions.dataobj), []
    names = [f"{h}_{t}" for h in SIDES for t in ("projection", "association")]
    for number, name in enumerate(names):
        weight = data[..., number]
        if not weight.any():
            continue
        hemisphere, tract = name.split("_")
        row = places[(places["side"] == hemisphere) & (places["tract"] == tract)].iloc[0]
        true = row[["dwi_x", "dwi_y", "dwi_z"]].to_numpy(float)
        voxel = np.average(np.argwhere(weight > 0), axis=0, weights=weight[weight > 0])
        centre = nib.affines.apply_affine(regions.affine, voxel)
        distances.append(float(np.linalg.norm(centre - true)))
    return distances


def epvs_agreement(results: Path, truth: Path, both: pd.DataFrame) -> pd.DataFrame:
    """Agreement of each subject's perivascular spaces with the planted ones, in T1w space."""
    rows = []
    for _, row in both.iterrows():
        folder = Path(*[part for part in row[KEYS] if isinstance(part, str)])
        prefix = "_".join(folder.parts)
        stem = results / folder / "anat" / prefix
        found = Path(f"{stem}_label-EPVS_mask.nii.gz")
        planted = truth / folder / f"{prefix}_space-T1w_label-EPVS_mask.nii.gz"
        if not found.is_file() or read_stop(found) or not planted.is_file():
            continue
        image, true = nib.load(found), np.asanyarray(nib.load(planted).dataobj) > 0
        regions = nib.load(f"{stem}_space-T1w_res-1mm_desc-region_dseg.nii.gz")
        labels = np.asanyarray(regions.dataobj).astype(np.uint8)
        labels = on_image(labels, regions.affine, image.shape, image.affine)
        rows.append(compare(np.asanyarray(image.dataobj) > 0, true, labels, image.affine))
    return pd.DataFrame(rows)


def show_epvs(both: pd.DataFrame, agreement: pd.DataFrame) -> None:
    """Counts, volumes, the volume that the fluid gives, and overlap with what was planted."""
    print("\nPerivascular spaces against the planted ones:")
    wanted = (("count", "count", ""), ("volume", "volume", "_mm3"), ("fluid", "volume", "_mm3"))
    for what, against, unit in wanted:
        for place in ("total", "cso", "bg", "midbrain"):
            mine = both[f"epvs_{place}_{what}{unit}"]
            true = both[f"true_epvs_{against}_{place}{unit}"]
            line = f"{what:6s} {place:9s} true {true.mean():7.1f}  measured {mine.mean():7.1f}"
            if len(both) > 2 and mine.std() > 0 and true.std() > 0:
                line += f"  r = {np.corrcoef(mine, true)[0, 1]:.2f}"
            print(line)
    middle = agreement.median(numeric_only=True)
    names = ["dice", "recall", "precision", "reference_outside"]
    names += [f"object_{name}" for name in ("recall", "precision", "f1")]
    print("median " + ", ".join(f"{name} {middle[name]:.2f}" for name in names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("truth", type=Path)
    given = parser.parse_args()
    measured = read(given.results / "group" / "metrics.tsv")
    true = read(given.truth / "truth.tsv")
    both = measured.merge(
        true.rename(columns=lambda name: name if name in KEYS else f"true_{name}"), on=KEYS
    )
    print(f"\n{len(both)} of {len(true)} simulated subjects measured. ALPS against its truth:")
    print(alps_errors(both).to_string(index=False, float_format="{:.4f}".format))
    volume = both["brain_volume_mm3"] / both["true_brain_volume_mm3"] - 1
    print(f"brain volume: mean error {volume.mean():+.1%}, worst {volume.abs().max():.1%}")
    distances = region_distances(given.results, given.truth, both)
    if distances:
        print(
            f"region centres: mean error {np.mean(distances):.2f} mm, worst {max(distances):.2f} mm"
        )
    agreement = epvs_agreement(given.results, given.truth, both)
    if len(agreement):
        show_epvs(both, agreement)
    both.to_csv(given.results / "group" / "truth.tsv", sep="\t", index=False, na_rep="n/a")
    print(f"Pages: {given.results}/sub-*/*_qc.html; table: {given.results}/group/metrics.tsv")


if __name__ == "__main__":
    main()
