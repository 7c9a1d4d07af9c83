"""What one subject costs: wall time, CPU time and peak memory of every rule, and of imports.

    PYTHONPATH=workflow python benchmarks/protocol.py study
    PYTHONPATH=workflow python benchmarks/protocol.py common

study: T1w and T2w 1 mm, DWI 0.75 x 0.75 x 1.5 mm (zero-filled from 1.5 mm), 25 directions.
common: T1w and T2w 1 mm, DWI 2 mm, 65 directions.

Simulates one subject (or --subjects) at the protocol and runs the whole workflow on it, up to the
subjects' pages. Rules that write no benchmark are in the total only.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from glymph.simulate import ScanSpec, SubjectSpec, simulate_subject

ROOT = Path(__file__).resolve().parents[1]
ANATOMY = {"anat_extent_mm": (192.0, 256.0, 256.0)}
PROTOCOLS = {
    "study": ScanSpec(
        dwi_voxel=(1.5, 1.5, 1.5), dwi_zero_fill=2, dwi_extent_mm=(192.0, 192.0, 121.5),
        shells=((1000, 25),), n_b0=1, **ANATOMY,
    ),
    "common": ScanSpec(dwi_voxel=(2.0, 2.0, 2.0), shells=((1000, 65),), n_b0=5, **ANATOMY),
}  # fmt: skip
ABOUT = '{"Name": "protocol", "BIDSVersion": "1.10.0", "DatasetType": "raw"}'


def simulate(work: Path, protocol: str, subjects: int) -> None:
    scan = PROTOCOLS[protocol]
    for number in range(1, subjects + 1):
        subject = SubjectSpec(f"{number:02}", seed=number, scan=scan)
        simulate_subject(subject, work / "bids", work / "truth")
    (work / "bids" / "dataset_description.json").write_text(ABOUT)


def run(work: Path, cores: int) -> tuple[float, float, str]:
    """(wall seconds, CPU seconds, output with the import times) of the whole run."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "participant",
               "--cores", str(cores), "--config", "bids_dir=bids", "output_dir=out"]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, cwd=work, env=environment | {"PYTHONPROFILEIMPORTTIME": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu, done.stdout


def rules(out: Path) -> list[dict[str, str]]:
    """The benchmark of every job, in the order of its rules' names."""
    found = []
    for path in sorted((out / "benchmarks").rglob("*.tsv")):
        with path.open(newline="") as stream:
            row = next(csv.DictReader(stream, delimiter="\t"))
        found.append({"rule": path.stem.split("_", 1)[1], **row})
    return found


def import_seconds(texts) -> float:
    """Sum of the self times that Python prints for every import (PYTHONPROFILEIMPORTTIME)."""
    times = (re.findall(r"^import time: +(\d+) \|", text, flags=re.M) for text in texts)
    return sum(int(value) for found in times for value in found) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("protocol", choices=PROTOCOLS)
    parser.add_argument("--subjects", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder (default: temporary)")
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    simulate(work, arguments.protocol, arguments.subjects)
    wall, cpu, output = run(work, arguments.cores)
    print("rule\twall (s)\tCPU (s)\tpeak memory (MB)")
    for row in rules(work / "out"):
        print(row["rule"], row["s"], row["cpu_time"], row["max_rss"], sep="\t")
    logs = [path.read_text(errors="replace") for path in (work / "out" / "logs").rglob("*.log")]
    imports = import_seconds([output, *logs])
    print(f"all\t{wall:.0f}\t{cpu:.0f}\t")
    print(f"imports\t\t{imports:.0f}\t({100 * imports / cpu:.0f} % of the CPU time)")


if __name__ == "__main__":
    main()
