"""The same numbers again: from run to run, on 1 thread or 4, from another working directory.

    python benchmarks/repeatability.py BIDS_DIR WORK [--cores 2]

Runs the workflow on BIDS_DIR three times into WORK (as it is; once more from another directory;
with threads: 4) and prints the largest difference of each metric that differs at all.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from glymph.common.registry import metrics
from glymph.common.tables import read_tsv

ROOT = Path(__file__).resolve().parents[1]


def measure(bids: Path, folder: Path, cores: int, threads: int) -> list[dict]:
    """The cohort's table of a run of its own in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    # Cores may exceed those of the machine: a rule never gets more threads than there are cores.
    subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--cores",
         str(max(cores, threads)), "--quiet", "--config", f"bids_dir={bids.resolve()}",
         "output_dir=out", f"threads={threads}"],
        cwd=folder, check=True,
    )  # fmt: skip
    return read_tsv(folder / "out" / "group" / "metrics.tsv")


def differences(first: list[dict], second: list[dict]) -> dict[str, float]:
    """Largest absolute difference of each metric that differs; infinite where one is missing."""
    found: dict[str, float] = {}
    for one, two in zip(first, second, strict=True):
        for name in metrics().keys() & one.keys():
            a, b = one[name], two[name]
            if a != b:
                gap = float("inf") if None in (a, b) else abs(float(a) - float(b))
                found[name] = max(gap, found.get(name, 0.0))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    chosen = parser.parse_args()
    first = measure(chosen.bids_dir, chosen.work / "first", chosen.cores, 1)
    for name, threads in (("another directory", 1), ("4 threads", 4)):
        other = measure(
            chosen.bids_dir, chosen.work / name.replace(" ", "-"), chosen.cores, threads
        )
        found = differences(first, other)
        print(f"{name}: {len(found)} of {len(metrics())} metrics differ, {len(first)} rows")
        for metric, gap in sorted(found.items()):
            print(f"{metric}\t{gap:.3g} {metrics()[metric].unit}")


if __name__ == "__main__":
    main()
