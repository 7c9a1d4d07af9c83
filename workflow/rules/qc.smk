"""Stage qc: one self-contained page per unit.

INPUTS:  <unit>/*_metrics.json and the images of stages anat, dwi, alps
OUTPUTS: <unit>/*_qc.html
"""


def unit_pictures(wildcards):
    """The images that this unit's page shows, by name."""
    files = scan_of(wildcards).files
    found = {}
    if "T1w" in files:
        found |= {
            "t1w": rules.anat_preproc.output.t1w,
            "mask": rules.anat_preproc.output.mask,
            "warped": rules.anat_register.output.warped,
        }
    if "dwi" in files:
        found |= {
            "b0": rules.dwi_correct.output.b0,
            "motion": rules.dwi_correct.output.motion,
            "fa": rules.dwi_tensor.output.fa,
            "v1": rules.dwi_tensor.output.v1,
            "regions": rules.alps_index.output.regions,
        }
    if "T1w" in files and "dwi" in files:
        found["dwi_to_t1w"] = rules.dwi_register.output.facts
    return {name: path.format(**wildcards) for name, path in found.items()}


rule qc_page:
    """Draw the page of one unit."""
    input:
        unpack(unit_pictures),
        record=rules.metrics_unit.output.record,
        template=list((config["template"] or {}).values()),
    output:
        page=report(
            unit_path("", "qc.html"),
            category="Subjects",
            labels={"subject": "{prefix}"},
        ),
    log:
        unit_log("qc_page"),
    params:
        template=config["template"],
        code=code("qc/page.py"),
        registry=provenance.file_hash(ROOT / "resources" / "metrics.yaml"),
        layout=provenance.file_hash(ROOT / "workflow" / "glymph" / "qc" / "page.html.j2"),
    resources:
        mem_mb=2000,
        runtime=10,
    conda:
        env("core")
    message:
        "Draw the page of {wildcards.prefix}"
    script:
        "../scripts/qc/page.py"
