"""Stage inputs: every image is read whole once, before any long job of its subject.

INPUTS:  images and sidecars of the BIDS dataset
OUTPUTS: <unit>/inputs/*_<kind>.json            facts about the image, or why it cannot be used
         dataset_description.json, README, .bidsignore, space-*.json inherited by all
         inputs/bids_validator.tsv              where bids_validator asks for it
"""


include: "functions/inputs.smk"


rule inputs_check:
    """Check one image of one unit; a bad one stops what depends on it and nothing else."""
    input:
        files=checked_files,
    output:
        facts=unit_path("inputs", "{kind}.json"),
    log:
        unit_log("inputs_check_{kind}"),
    wildcard_constraints:
        kind="T1w|T2w|FLAIR|dwi",
    priority: 100  # all checks come before the first long job
    conda:
        env("core")
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        files=files_of_kind,
        b_max=lambda wildcards: config["dwi"]["b_max"] if wildcards.kind == "dwi" else None,
        sources=sources(checked_files),
        code=code("inputs/check.py"),
    message:
        "Check the {wildcards.kind} of {wildcards.prefix}"
    script:
        "../scripts/inputs/check.py"


rule inputs_describe:
    """Describe the output folder as a BIDS derivative dataset."""
    output:
        description=f"{OUT}/dataset_description.json",
        readme=f"{OUT}/README",
        ignore=f"{OUT}/.bidsignore",
        sidecars=inherited_sidecars(),
    log:
        f"{OUT}/logs/inputs_describe.log",
    localrule: True
    conda:
        env("core")
    params:
        code=code("inputs/describe.py"),
    message:
        "Write dataset_description.json"
    script:
        "../scripts/inputs/describe.py"


rule inputs_validate:
    """Run the BIDS validator on the dataset; nothing waits for it."""
    input:
        participants=participants_table(),
    output:
        table=f"{OUT}/inputs/bids_validator.tsv",
    log:
        f"{OUT}/logs/inputs_validate.log",
    conda:
        env("core")
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        bids_dir=lambda wildcards: config["bids_dir"],
        cohort=COHORT.fingerprint(),
        code=code("inputs/validate.py"),
    message:
        "Run the BIDS validator"
    script:
        "../scripts/inputs/validate.py"
