"""What the rules of stage inputs ask of the cohort, the configuration and each other."""

from glymph.inputs import describe


def inherited_sidecars():
    """Sidecars at the top of the output folder, of images that this cohort has."""
    kinds = {kind for scan in COHORT.scans for kind in scan.files}
    names = describe.sidecars(kinds, config["epvs"]["engine"] != "none")
    return [f"{OUT}/{name}" for name in names]


def files_of_kind(wildcards):
    """The image of a kind by name, with its sidecars: nothing else of the unit matters here."""
    kinds = (
        (wildcards.kind, "bval", "bvec", "json") if wildcards.kind == "dwi" else (wildcards.kind,)
    )
    files = scan_of(wildcards).files
    return {kind: files[kind] for kind in kinds if kind in files}


def checked_files(wildcards):
    """The image of a kind by name with every file that says something of it."""
    of_dwi = diffusion_sidecars(wildcards) if wildcards.kind == "dwi" else []
    inherited = [path for path in of_dwi if path.endswith("dwi.json")]
    return list(dict.fromkeys([*files_of_kind(wildcards).values(), *inherited]))


def validator_table():
    """Where the BIDS validator's findings go, if it is wanted and there is a BIDS folder."""
    wanted = config["bids_validator"] and not config["path_table"]
    return [f"{OUT}/inputs/bids_validator.tsv"] if wanted else []
