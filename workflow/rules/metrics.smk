"""Stage metrics: one record per unit.

INPUTS:  JSON facts of stages inputs, anat, dwi, alps
OUTPUTS: <unit>/*_metrics.json
         <unit>/*_finished.json                  what the unit is made of, with plan: subjects
"""


include: "functions/metrics.smk"


rule metrics_unit:
    """Collect one unit's metrics, flags, and what could not be made."""
    input:
        facts=unit_facts,
        checks=unit_checks,
    output:
        record=unit_path("", "metrics.json"),
    log:
        unit_log("metrics_unit"),
    conda:
        env("core")
    resources:
        mem_mb=growing(500),
        runtime=growing(5),
    params:
        thresholds=config["qc"]["thresholds"],
        corrected=corrections_of,
        code=code("metrics/unit.py"),
        registry=provenance.file_hash(ROOT / "resources" / "metrics.yaml"),
    message:
        "Collect the metrics of {wildcards.prefix}"
    script:
        "../scripts/metrics/unit.py"


rule metrics_finished:
    """Note what a unit was made of, for a plan of the cohort alone."""
    input:
        agreement=agreement_of,
        page=unit_path("", "qc.html"),
        record=rules.metrics_unit.output.record,
    output:
        note=unit_path("", plan.NOTE),
    log:
        unit_log("metrics_finished"),
    localrule: True
    conda:
        env("core")
    params:
        made=lambda wildcards: made_of(scan_of(wildcards)),
        code=code("metrics/finished.py"),
    message:
        "All of {wildcards.prefix} is made"
    script:
        "../scripts/metrics/finished.py"
