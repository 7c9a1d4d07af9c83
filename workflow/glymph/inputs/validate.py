"""The BIDS validator on the dataset: what the standard finds wrong, beside our own checks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from glymph.common.errors import BadInput

PROGRAM = "bids-validator-deno"
COLUMNS = ["severity", "code", "location", "message"]


def validate(bids_dir: str | Path) -> list[dict[str, str]]:
    """Rows with `COLUMNS` of every error and warning, errors first.

    Runs the official validator, which reads no voxels and needs no internet. Raises `BadInput`
    where it is not installed or gives no answer.
    """
    beside = str(Path(sys.executable).parent)
    program = shutil.which(PROGRAM, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if not program:
        raise BadInput(
            f"{PROGRAM} is not installed", "", f"pip install {PROGRAM}, or bids_validator: "
            "false",
        )  # fmt: skip
    done = subprocess.run(
        [program, str(bids_dir), "--format", "json"], text=True, capture_output=True, check=False
    )
    try:
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr or done.stdout).strip()[-300:]
        raise BadInput(
            f"{PROGRAM} gave no answer ({said})", str(bids_dir), "run it by hand"
        ) from None
    rows = [
        {
            "severity": issue["severity"],
            "code": " ".join(filter(None, (issue["code"], issue.get("subCode")))),
            "location": issue.get("location"),
            "message": issue.get("issueMessage"),
        }
        for issue in issues
        if issue["severity"] in ("error", "warning")
    ]
    return sorted(rows, key=lambda row: (row["severity"], row["code"], row["location"] or ""))
