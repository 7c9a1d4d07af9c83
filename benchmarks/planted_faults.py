"""What the flags catch: a cohort of sound subjects and ten with a planted fault.

    python benchmarks/planted_faults.py WORK [--sound 30] [--cores 2]

Simulates the cohort into WORK (coarse images; perivascular spaces are left out), plants two of each
fault (a gradient table with a flipped axis, a failed brain mask, 20 degrees of pitch, heavy motion,
T1w and T2w swapped), runs the workflow, and prints what was flagged or stopped and why. A fault
counts as caught only by a flag or stop that points to it, not by any flag.
"""

from __future__ import annotations

import argparse
import fnmatch
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.tables import read_tsv

ROOT = Path(__file__).resolve().parents[1]
POINTERS = {
    "gradients": ["gradient_coherence_ratio", "stop:dwi"],
    "mask": ["brain_volume_mm3", "icv_volume_mm3", "gm_volume_mm3", "wm_volume_mm3",
             "csf_volume_mm3", "template_similarity", "stop:anat"],
    "pitch": ["head_pitch", "alps_native_template_difference"],
    "motion": ["mean_framewise_displacement", "max_displacement"],
    "swapped": ["template_similarity", "stop:anat"],
}  # fmt: skip
"""Metrics, and branches that are stopped, which point to a fault."""
MASKS = "masks/{prefix}_mask.nii.gz"


def simulate(bids: Path, truth: Path, count: int, seed: int, cores: int, *more: str) -> list[str]:
    """A simulated cohort; returns its subjects."""
    third = [count - 2 * (count // 3), count // 3, count // 3]
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate", bids, truth, "--light", "--seed", str(seed),
         "--groups", *map(str, third), "--jobs", str(cores), "--dwi-voxel", "2.5", *more],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return sorted(path.name for path in bids.glob("sub-*"))


def replace_subject(bids: Path, old: str, source: Path, new: str, kind: str) -> None:
    """The images of ``source``'s subject ``new`` in the place of those of ``old``."""
    for path in (source / new / kind).iterdir():
        target = bids / old / kind / path.name.replace(new, old)
        shutil.copy(path, target)


def plant(work: Path, subjects: list[str], cores: int) -> dict[str, str]:
    """Two of each fault in the last ten subjects; returns subject -> fault."""
    bids, planted = work / "bids", dict(zip(subjects[-10:], 2 * list(POINTERS), strict=True))
    others = {
        "pitch": simulate(work / "pitched", work / "t1", 3, 8, cores, "--pitch-deg", "20"),
        "motion": simulate(work / "moved", work / "t2", 3, 9, cores, "--motion-mm", "2.5",
                           "--motion-deg", "2.5"),
    }  # fmt: skip
    (bids / "masks").mkdir()
    for number, (subject, fault) in enumerate(planted.items()):
        second = number >= len(POINTERS)
        if fault == "gradients":
            table = bids / subject / "dwi" / f"{subject}_dwi.bvec"
            rows = np.loadtxt(table)
            rows[2 if second else 0] *= -1
            np.savetxt(table, rows, fmt="%.6f")
        elif fault == "mask":
            _failed_mask(bids, subject, second)
        elif fault == "swapped":
            t1w, t2w = (bids / subject / "anat" / f"{subject}_{k}.nii.gz" for k in ("T1w", "T2w"))
            t1w.rename(work / "kept.nii.gz")
            t2w.rename(t1w)
            (work / "kept.nii.gz").rename(t2w)
        else:
            source = work / ("pitched" if fault == "pitch" else "moved")
            for kind in ("anat", "dwi"):
                replace_subject(bids, subject, source, others[fault][int(second)], kind)
    return planted


def _failed_mask(bids: Path, subject: str, whole_head: bool) -> None:
    """A mask of the lower seven tenths of the head, or one of the whole head."""
    image = nib.load(bids / subject / "anat" / f"{subject}_T1w.nii.gz")
    data = np.asanyarray(image.dataobj)
    head = data > 0.15 * np.percentile(data, 99)
    if not whole_head:
        up = nib.affines.apply_affine(image.affine, np.argwhere(head))[:, 2]
        places = np.argwhere(head)[up < np.percentile(up, 70)]
        head = np.zeros_like(head)
        head[tuple(places.T)] = True
    mask = nib.Nifti1Image(head.astype(np.uint8), image.affine)
    nib.save(mask, bids / MASKS.format(prefix=subject))


def found_in(out: Path) -> dict[str, set[str]]:
    """Per subject the flagged metrics, and the stopped branches as stop:BRANCH."""
    found: dict[str, set[str]] = {}
    for row in read_tsv(out / "group" / "flags.tsv"):
        found.setdefault(row["participant_id"], set()).add(row["metric"])
    for row in read_tsv(out / "group" / "exclusions.tsv"):
        found.setdefault(row["participant_id"], set()).add(f"stop:{row['branch']}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--sound", type=int, default=30)
    parser.add_argument("--cores", type=int, default=2)
    chosen = parser.parse_args()
    work = chosen.work
    subjects = simulate(work / "bids", work / "truth", chosen.sound + 10, 7, chosen.cores)
    planted = plant(work, subjects, chosen.cores)
    subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--cores", str(chosen.cores),
         "--quiet", "--keep-going", "--config", "bids_dir=bids", "output_dir=out",
         "epvs={engine: none}", f"anat={{brain_mask: '{MASKS}'}}"],
        cwd=work, check=True,
    )  # fmt: skip
    found = found_in(work / "out")
    caught = 0
    for subject, fault in planted.items():
        own = found.get(subject, set())
        pointing = sorted(n for n in own for p in POINTERS[fault] if fnmatch.fnmatch(n, p))
        caught += bool(pointing)
        print(f"{subject}\t{fault}\t{'caught by ' + ', '.join(pointing) if pointing else 'MISSED'}")
    sound = [s for s in subjects if s not in planted]
    flagged = {s: found[s] for s in sound if s in found}
    print(
        f"sensitivity {caught}/{len(planted)}; sound subjects flagged {len(flagged)}/{len(sound)}"
    )
    for subject, names in flagged.items():
        print(f"{subject}\tfalse alarm\t{', '.join(sorted(names))}")


if __name__ == "__main__":
    main()
