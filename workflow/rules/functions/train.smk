"""What the rules of stage train ask of the cohort, the configuration and each other."""


def donor_heads(wildcards):
    """The heads whose surroundings the brain network learns from."""
    found = sorted(map(str, (ROOT / "resources" / "heads").glob("*.nii.gz")))
    return found if wildcards.network == "brain" else []


def finetune_scans():
    """The index entries that the rater of `finetune` has drawn."""
    rater = config.get("finetune", {}).get("rater")
    return [scan for scan in COHORT.scans if rater in scan.raters and "T1w" in scan.files]


def finetune_units():
    return [scan.unit for scan in finetune_scans()]
