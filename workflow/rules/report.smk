"""Stage report: figures, the report page and a Word file.

INPUTS:  group/stats/*.tsv; group/rating_agreement.tsv, agreement*.tsv where there are raters
OUTPUTS: group/figures/*.{png,svg,pdf}
         report/report.html      self-contained
         report/report.docx      tables and methods
"""


include: "functions/report.smk"


rule report_figures:
    """Draw the figures of the cohort."""
    input:
        stats_tables,
        decisions=rules.stats_cohort.output.decisions,
        agreement=agreement_tables(),
    output:
        folder=report(
            directory(f"{OUT}/group/figures"),
            patterns=["{name}.png"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
    log:
        f"{OUT}/logs/report_figures.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        settings=stats_settings("alpha", "colours", "scatter"),
        code=code("report/figures.py"),
        definitions=statistics_definitions(),
    message:
        "Draw the figures"
    script:
        "../scripts/report/figures.py"


rule report_page:
    """Write the report page and the Word file."""
    input:
        stats_tables,
        decisions=rules.stats_cohort.output.decisions,
        agreement=[*agreement_tables(), rules.review_ratings.output.agreement],
        figures=rules.report_figures.output.folder,
    output:
        page=report(
            f"{OUT}/report/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"report": "page"},
        ),
        word=f"{OUT}/report/report.docx",
    log:
        f"{OUT}/logs/report_page.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        settings=stats_settings(),
        table=config["metrics_table"] or rules.metrics_group.output.table,
        imaging=imaging_settings(),
        config=config,
        pages=subject_pages(),
        code=code("report/page.py"),
        definitions=statistics_definitions(),
        layout=provenance.file_hash(ROOT / "workflow" / "glymph" / "report" / "report.html.j2"),
        published=provenance.file_hash(ROOT / "resources" / "published.yaml"),
    message:
        "Write the report"
    script:
        "../scripts/report/page.py"
