"""Stage group: the cohort's tables.

INPUTS:  <unit>/*_metrics.json; participants.tsv
OUTPUTS: group/metrics.tsv, group/metrics.json   one row per unit; the description of every column
         group/exclusions.tsv                    what does not exist, and why
         group/flags.tsv                         what to look at, and why
         group/agreement{,_summary}.tsv          against raters' masks, where there are any
"""


include: "functions/group.smk"


rule metrics_group:
    """Make the cohort's table and the list of exclusions."""
    input:
        records=of_units([scan.unit for scan in COHORT.scans], "", "metrics.json"),
        participants=participants_table(),
    output:
        table=f"{OUT}/group/metrics.tsv",
        description=f"{OUT}/group/metrics.json",
        exclusions=f"{OUT}/group/exclusions.tsv",
        flags=f"{OUT}/group/flags.tsv",
    log:
        f"{OUT}/logs/metrics_group.log",
    conda:
        env("core")
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        index_file=INDEX,
        config=table_settings(),
        cohort=COHORT.fingerprint(),
        left_out=COHORT.left_out,
        sources=states([*participants_table(), *session_tables()]),
        code=code("metrics/group.py"),
        registry=[
            provenance.file_hash(ROOT / "resources" / f"{name}.yaml")
            for name in ("metrics", "participants")
        ],
    message:
        "Make the cohort's table"
    script:
        "../scripts/metrics/group.py"


rule metrics_agreement:
    """Collect the agreement with raters: per subject, and medians with quartiles per group."""
    input:
        facts=of_units(rated_units(), "anat", "desc-agreement_epvs.json"),
        participants=participants_table(),
    output:
        table=f"{OUT}/group/agreement.tsv",
        summary=f"{OUT}/group/agreement_summary.tsv",
        description=f"{OUT}/group/agreement.json",
    log:
        f"{OUT}/logs/metrics_agreement.log",
    conda:
        env("core")
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        units=[(unit.participant_id, unit.session_id) for unit in rated_units()],
        namesakes=cohort.participants_alike(COHORT),
        config=participants_settings(),
        reference=config["epvs"]["reference"],
        sources=states(participants_table()),
        code=code("metrics/agreement.py"),
    message:
        "Collect the agreement with raters"
    script:
        "../scripts/metrics/agreement.py"
