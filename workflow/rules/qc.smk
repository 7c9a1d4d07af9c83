"""Stage qc: one self-contained page per unit, and its thumbnails for the page of the cohort.

INPUTS:  <unit>/*_metrics.json and the images of stages anat, dwi, alps
OUTPUTS: <unit>/*_qc.html
         <unit>/figures/*_desc-thumbnails_qc.jpg
"""


include: "functions/qc.smk"


rule qc_page:
    """Draw the page and the thumbnails of one unit."""
    input:
        unpack(unit_pictures),
        record=rules.metrics_unit.output.record,
        template=list((config["template"] or {}).values()),
    output:
        page=report(
            unit_path("", "qc.html"),
            caption="../report/subject.rst",
            category="Subjects",
            labels={"subject": "{prefix}"},
        ),
        thumbnails=unit_path("figures", THUMBNAILS),
    log:
        unit_log("qc_page"),
    conda:
        env("core")
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        template=config["template"],
        code=code("qc/page.py"),
        registry=provenance.file_hash(ROOT / "resources" / "metrics.yaml"),
        layout=provenance.file_hash(ROOT / "workflow" / "glymph" / "qc" / "page.html.j2"),
    message:
        "Draw the page of {wildcards.prefix}"
    script:
        "../scripts/qc/page.py"
