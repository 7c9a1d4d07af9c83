"""What stands at the top of the output folder, so that it is a BIDS derivative dataset."""

from __future__ import annotations

import glymph

ON_T1W = {
    "SpatialReference": "the subject-session's own *_desc-preproc_T1w.nii.gz",
    "Resolution": "1 mm isotropic, axes in RAS order",
}
STRIPPED = {"SkullStripped": True}
SIDECARS = {
    "space-T1w_res-1mm_T1w.json": ON_T1W | STRIPPED,
    "space-T1w_res-1mm_T2w.json": ON_T1W | STRIPPED,
    "space-T1w_res-1mm_mask.json": ON_T1W,
    "space-T1w_res-1mm_dseg.json": ON_T1W,
    "space-T1w_res-1mm_probseg.json": ON_T1W,
    "space-template_desc-preproc_T1w.json": STRIPPED
    | {"SpatialReference": "template of the configuration; by default MNI152NLin2009aSym"},
}
"""Sidecars that all subjects inherit: one file each instead of one a subject."""


def sidecars(kinds: set[str], epvs: bool) -> list[str]:
    """Names of the `SIDECARS` that describe anything in a cohort with images of these ``kinds``.

    ``epvs``: whether perivascular spaces are segmented.
    """
    if "T1w" not in kinds:
        return []
    found = [name for name in SIDECARS if "_res-1mm_" not in name or epvs]
    return [name for name in found if "T2w" in kinds or not name.endswith("_T2w.json")]


IGNORED = (
    "atlas", "benchmarks", "group", "inputs", "logs", "report", "review", "**/inputs", "**/figures",
    "*_qc.html", "*_metrics.json", "*_finished.json", "*_anat.json", "*_epvs.json",
    "*_desc-alps*_*", "*_desc-register*_dwi.json", "*_desc-tensor_dwi.json",
    "*_desc-whitematter_dwi.json", "*_objects.*", "*_xfm.*", "*_timeseries.tsv",
    "*_dwiref.nii.gz", "*_dwimap.*", "*_desc-preproc_dwi.bv*",
)  # fmt: skip
"""What BIDS has no name for yet."""

README = """Glymphatic imaging measures
===========================

Made by the workflow glymph. Begin with report/qc.html (every subject-session on one page) and
report/report.html (the cohort). Tables are in group/, each with a JSON that describes its columns.
A file that begins with GLYMPH-STOP is no image: it says why the result could not be made.
"""


def description() -> dict:
    """Content of dataset_description.json."""
    return {
        "Name": "Glymphatic imaging measures",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "glymph", "Version": glymph.__version__}],
    }
