"""Stage metrics: one record per unit, then the cohort's tables.

INPUTS:  JSON facts of stages inputs, anat, dwi, alps; participants.tsv
OUTPUTS: <unit>/*_metrics.json
         group/metrics.tsv, group/metrics.json   one row per unit; the description of every column
         group/exclusions.tsv                    what does not exist, and why
"""


def unit_checks(wildcards):
    kinds = [kind for kind in ("T1w", "T2w", "FLAIR", "dwi") if kind in scan_of(wildcards).files]
    return [unit_path("inputs", f"{kind}.json").format(**wildcards) for kind in kinds]


def unit_facts(wildcards):
    """The facts of every branch that this unit's images allow."""
    files = scan_of(wildcards).files
    found = []
    if "T1w" in files:
        found += [rules.anat_register.output.facts, rules.anat_segment.output.facts]
    if "dwi" in files:
        found += [rules.dwi_correct.output.facts, rules.dwi_tensor.output.facts]
        register = rules.dwi_register if "T1w" in files else rules.dwi_register_fa
        found += [register.output.facts, rules.alps_index.output.facts]
    return [path.format(**wildcards) for path in found]


rule metrics_unit:
    """Collect one unit's metrics, flags, and what could not be made."""
    input:
        facts=unit_facts,
        checks=unit_checks,
    output:
        record=unit_path("", "metrics.json"),
    log:
        unit_log("metrics_unit"),
    params:
        code=code("metrics/unit.py"),
        registry=provenance.file_hash(ROOT / "resources" / "metrics.yaml"),
    resources:
        mem_mb=500,
        runtime=5,
    conda:
        env("core")
    message:
        "Collect the metrics of {wildcards.prefix}"
    script:
        "../scripts/metrics/unit.py"


rule metrics_group:
    """Make the cohort's table and the list of exclusions."""
    input:
        records=of_units([scan.unit for scan in COHORT.scans], "", "metrics.json"),
        participants=[str(path) for path in [cohort.participants_file(config)] if path],
    output:
        table=f"{OUT}/group/metrics.tsv",
        description=f"{OUT}/group/metrics.json",
        exclusions=f"{OUT}/group/exclusions.tsv",
    log:
        f"{OUT}/logs/metrics_group.log",
    params:
        index_file=INDEX,
        config=config,
        cohort=COHORT.fingerprint(),
        code=code("metrics/group.py"),
        registry=provenance.file_hash(ROOT / "resources" / "metrics.yaml"),
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        env("core")
    message:
        "Make the cohort's table"
    script:
        "../scripts/metrics/group.py"
