"""Time and memory of statistics and report on a table of subjects.

    python benchmarks/statistics.py [--times 1 34] [--cores 1]

Draws the study's cohort of 145 subjects, ``--times`` as large, runs the target `group` on the table
into a temporary folder, and prints seconds per rule, the whole run, and the largest job's memory.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from glymph.simulate.table import draw

ROOT = Path(__file__).resolve().parents[1]


def measure(times: int, cores: int) -> tuple[int, float, dict[str, float]]:
    """(subjects, seconds of the whole run, seconds per rule)."""
    with tempfile.TemporaryDirectory() as folder:
        frame = draw(times)
        frame.to_csv(f"{folder}/table.tsv", sep="\t", index=False, float_format="%.10g")
        begun = time.time()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "group", "--cores",
             str(cores), "--config", "metrics_table=table.tsv", "output_dir=out"],
            cwd=folder, text=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return len(frame), time.time() - begun, per_rule(done.stdout)


def per_rule(log: str) -> dict[str, float]:
    """Seconds from one job's start to its end, from the times in snakemake's log (one core)."""
    stamp = None
    begun, found = {}, {}
    for line in log.splitlines():
        if match := re.match(r"\[(\w{3} \w{3} .+)\]$", line):
            stamp = datetime.strptime(match.group(1), "%a %b %d %H:%M:%S %Y").timestamp()
        elif match := re.match(r"Job (\d+):", line):
            begun[match.group(1)] = stamp
        elif match := re.match(r"Finished jobid: (\d+) \(Rule: (\w+)\)", line):
            found[match.group(2)] = stamp - begun.get(match.group(1), stamp)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, nargs="+", default=[1, 34])
    parser.add_argument("--cores", type=int, default=1)
    options = parser.parse_args()
    for times in options.times:
        subjects, seconds, rules = measure(times, options.cores)
        megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"\n{subjects} subjects: {seconds:.0f} s, largest job {megabytes:.0f} MB", flush=True)
        for rule, spent in sorted(rules.items(), key=lambda item: -item[1]):
            print(f"  {rule:24s} {spent:5.0f} s")


if __name__ == "__main__":
    main()
