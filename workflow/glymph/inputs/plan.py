"""Plans of a part of the work, for cohorts too large for one: subjects apart, then the cohort.

``plan: subjects`` makes what belongs to single units, in as many runs side by side as there are
subjects; each unit ends with a note of what it was made of (`made_of`). ``plan: cohort`` makes the
tables, statistics and pages of the units whose note says what it would say now; the others are
listed with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from glymph.common import integrity
from glymph.common.errors import Fault
from glymph.common.provenance import code_hash, content_hash, file_hash
from glymph.common.sidecars import read_json
from glymph.inputs.index import Scan
from glymph.networks.bundle import folder_of

SUBJECTS, COHORT = "subjects", "cohort"
OF_COHORT = (
    "plan", "participant_label", "exclude", "participants", "stats", "threads", "train", "finetune",
    "review", "bids_validator",
)  # fmt: skip
"""Keys of the configuration that no result of a single unit depends on. What raters corrected
(``review``) is among a unit's files."""
STAGES = ("inputs", "anat", "epvs", "dwi", "alps", "metrics", "qc")
SCRIPTS_OF_COHORT = (
    "inputs/describe.py", "inputs/validate.py", "metrics/group.py", "metrics/agreement.py",
)  # fmt: skip
DEFINITIONS_OF_COHORT = ("participants.yaml", "review.yaml", "statistics.yaml", "published.yaml")
NOTE = "finished.json"
REASONS = {
    "settings": "made with another configuration",
    "science": "made by another version of the workflow",
    "engines": "made by another network, program or FSL",
    "rois": "its ALPS regions were corrected since",
    "sources": "its files changed since",
    "record": "its results are of another run",
}


def settings_hash(config: dict) -> str:
    """Fingerprint of the configuration as far as results of single units depend on it."""
    read = {key: value for key, value in config.items() if key not in OF_COHORT}
    return content_hash(read)


@cache
def science_hash(root: Path) -> str:
    """Fingerprint of the code and definitions that make results of single units.

    ``root``: the repository.
    """
    scripts = root / "workflow" / "scripts"
    found = {path for stage in STAGES for path in (scripts / stage).glob("*.py")}
    own = sorted(found - {scripts / name for name in SCRIPTS_OF_COHORT})
    found = [p for p in (root / "resources").glob("*.yaml") if p.name not in DEFINITIONS_OF_COHORT]
    read = [*own, *sorted(found)]
    return content_hash([*map(code_hash, own), *map(file_hash, read)])


def networks(config: dict) -> str:
    """Fingerprint of the networks that the configuration names, used or not."""
    epvs, anat = config["epvs"], config["anat"]
    named = {
        "epvs": epvs["model"],
        "regions": epvs["regions_model"],
        "brain": anat["brain_model"],
    }
    return networks_hash(*(folder_of(name, path) for name, path in named.items()))


@cache
def networks_hash(*bundles: Path) -> str:
    """Fingerprint of all files of these networks."""
    return content_hash([integrity.checksum(b) if b.is_dir() else "absent" for b in bundles])


def files_of(scan: Scan) -> list[str]:
    """The user's files that results of one unit are made of."""
    return [*scan.files.values(), *scan.raters.values(), *scan.reverse, *scan.sidecars]


def files_of_all(config: dict) -> list[str]:
    """The user's files that results of every unit are made of."""
    regions = (config["alps"]["user_rois"] or {}).values()
    masks = [region["mask"] for region in regions if "mask" in region]
    return [*masks, *(config["template"] or {}).values()]


def made_of(
    scan: Scan, config: dict, root: Path, sources: dict[str, str], rois: dict, engines: dict
) -> dict:
    """What a unit's results are made of.

    ``root``: the repository; ``sources``: the `integrity.state` of files as the run found them;
    ``rois``: what a rater corrected of the unit's ALPS regions; ``engines``: what tells the
    networks and foreign programs from others.
    """
    masks = [region["mask"] for region in rois.values() if "mask" in region]
    files = sorted({*files_of(scan), *files_of_all(config), *masks})
    return {
        "settings": settings_hash(config), "science": science_hash(root), "engines": engines,
        "rois": rois,
        "sources": {path: sources.get(path) or integrity.state(path) for path in files},
    }  # fmt: skip


def check_jobs(rules: Iterable[str], folder: str | Path) -> None:
    """Raise `Fault` where a run of single subjects would make what all share in ``folder``."""
    if "epvs_atlas" in set(rules):
        raise Fault(
            "the atlas of regions, which all subjects share, is not made or not of now",
            Path(folder) / "atlas",
            "make it first, once, with the same configuration and plan: all (snakemake epvs_atlas)",
        )  # fmt: skip


def finished(made: dict, record: str | Path) -> dict:
    """The note that a unit is finished: what it is ``made`` of, and which ``record`` came out."""
    return made | {"record": integrity.checksum(record)}


def why_unfinished(scan: Scan, folder: str | Path, made: dict) -> str:
    """Why the results of a unit in ``folder`` are not those of now; "" where they are.

    ``made``: what `made_of` says now.
    """
    note, record = (Path(folder) / scan.unit.path("", n) for n in (NOTE, "metrics.json"))
    if not (note.is_file() and record.is_file()):
        return "not finished; run it with plan: subjects"
    noted, now = read_json(note), finished(made, record)
    for key, reason in REASONS.items():
        if noted.get(key) != now[key]:
            return f"{reason}; run it again with plan: subjects"
    return ""
