"""How the start of a run grows with the cohort: the plan, and what each cluster job pays.

    python benchmarks/scale.py --subjects 10 100 1000 10000

Makes BIDS folders of empty files (T1w, T2w, DWI) and measures on them, with this repository:
the plan (`snakemake -n`), and the start of one job as the SLURM executor starts it, up to the job's
own script. Peak memory is that of the largest process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = ("anat/{0}_T1w", "anat/{0}_T2w", "dwi/{0}_dwi")


def dataset(folder: Path, subjects: int) -> None:
    """A BIDS folder in which every file exists and none has content."""
    folder.mkdir(parents=True)
    about = {"Name": "scale", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (folder / "dataset_description.json").write_text(json.dumps(about))
    names = [f"sub-{number:05}" for number in range(1, subjects + 1)]
    rows = [f"{name}\t{'NC' if i % 2 else 'AD'}\t{60 + i % 30}" for i, name in enumerate(names)]
    (folder / "participants.tsv").write_text(
        "\n".join(["participant_id\tgroup\tage", *rows]) + "\n"
    )
    for name in names:
        for place in SUFFIXES:
            path = folder / name / place.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Path(f"{path}.nii.gz").touch()
            Path(f"{path}.json").write_text("{}")
        for kind in ("bval", "bvec"):
            (folder / name / "dwi" / f"{name}_dwi.{kind}").touch()


def snakemake(folder: Path, *arguments: str) -> tuple[float, float, str]:
    """(wall seconds, peak memory in GB, output) of one snakemake process."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *arguments,
               "--config", "bids_dir=bids", "output_dir=out"]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read()
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(text[-3000:])
    return seconds, usage.ru_maxrss / 2**20, text


def cluster_job(folder: Path) -> tuple[float, float]:
    """(wall seconds, peak memory in GB) of a job of a cluster, up to the start of its script."""
    unit = "folder=sub-00001,prefix=sub-00001,kind=T1w"
    seconds, memory, _ = snakemake(
        folder, "--target-jobs", f"inputs_check:{unit}", "--allowed-rules", "inputs_check",
        "--force", "--cores", "1", "--mode", "remote", "--nolock", "--ignore-incomplete",
        "--quiet", "all", "-n",
    )  # fmt: skip
    return seconds, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, nargs="+", default=[10, 100, 1000, 10000])
    parser.add_argument("--work", type=Path, help="folder for the datasets (default: temporary)")
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp())
    print("subjects\tjobs\tplan (s)\tplan (GB)\tplan again (s)\tcluster job (s)\tcluster job (GB)")
    for number in arguments.subjects:
        folder = work / str(number)
        dataset(folder / "bids", number)
        plan, memory, output = snakemake(folder, "-n", "--quiet", "rules")
        again, *_ = snakemake(folder, "-n", "--quiet", "rules")
        jobs = next(line.split()[1] for line in output.splitlines() if line.startswith("total"))
        snakemake(folder, "out/dataset_description.json", "--cores", "1", "--quiet", "all")
        job = cluster_job(folder)
        cells = (plan, memory, again, *job)
        print(number, jobs, *(f"{cell:.2f}" for cell in cells), sep="\t", flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
