"""What all stages share: the cohort, the paths of results, and the fingerprint of the code.

The package `glymph` is found through PYTHONPATH, which scripts inherit also inside conda
environments and cluster jobs, so that nothing has to be installed beside the libraries.
"""

import hashlib
import os
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
PACKAGES = str(ROOT / "workflow")
sys.path.insert(0, PACKAGES)
os.environ["PYTHONPATH"] = os.pathsep.join(
    [PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])]
)

from glymph.common import names, provenance
from glymph.inputs import cohort

OUT = config["output_dir"].rstrip("/")
INDEX = f"{OUT}/inputs/index.json"
IS_MAIN = workflow.is_main_process

if IS_MAIN:
    try:
        COHORT = cohort.prepare(config, INDEX)
    except cohort.CohortError as error:
        raise WorkflowError(str(error)) from None
    for line in COHORT.summary():
        logger.info(line)
else:
    COHORT = cohort.reread(config, INDEX)


wildcard_constraints:
    folder=names.FOLDER_PATTERN,
    prefix=names.PREFIX_PATTERN,


def unit_path(datatype, name):
    """Path of a result of one unit, with the wildcards {folder} and {prefix}."""
    return "/".join(filter(None, (OUT, "{folder}", datatype, "{prefix}_" + name)))


def unit_log(rule):
    return f"{OUT}/logs/{{folder}}/{{prefix}}_{rule}.log"


def unit_benchmark(rule):
    return f"{OUT}/benchmarks/{{folder}}/{{prefix}}_{rule}.tsv"


def units_with(*kinds):
    """The units that have an image of each of these kinds."""
    return [scan.unit for scan in COHORT.scans if all(k in scan.files for k in kinds)]


def of_units(units, datatype, name):
    """Paths of one result for many units."""
    return [f"{OUT}/{unit.path(datatype, name)}" for unit in units]


def scan_of(wildcards):
    """The index entry of a job's unit."""
    return COHORT.by_prefix[wildcards.prefix]


def source_file(*kinds):
    """Input function: the unit's files of these kinds, those that exist."""

    def files(wildcards):
        found = scan_of(wildcards).files
        return [found[kind] for kind in kinds if kind in found]

    return files


def code(script):
    """Fingerprint of the science that a script of `workflow/scripts` imports."""
    return provenance.code_hash(ROOT / "workflow" / "scripts" / script)


def env(name):
    return str(ROOT / "envs" / f"{name}.yaml")


def targets(level):
    """Files of a target: participant (per unit) or group (cohort)."""
    if level == "group":
        return [f"{OUT}/group/{name}" for name in ("metrics.tsv", "metrics.json", "exclusions.tsv")]
    units = [scan.unit for scan in COHORT.scans]
    return (
        of_units(units, "", "metrics.json")
        + of_units(units, "", "qc.html")
        + [f"{OUT}/dataset_description.json"]
    )


def report_exclusions():
    """At the end: how many subjects are listed as left out, and where."""
    table = Path(OUT) / "group" / "exclusions.tsv"
    rows = table.read_text(encoding="utf-8").splitlines()[1:] if table.is_file() else []
    if rows:
        logger.info(f"{len(rows)} entries in {table}: results that do not exist, and why.")


def report_failures():
    """After an error: what to do next."""
    logger.info(
        f"Some jobs failed; the last lines of their logs stand above ({OUT}/logs). All other "
        "subjects were finished. Run the same command again to retry only what is missing, or "
        "leave a subject out with: exclude: [sub-XX]"
    )
