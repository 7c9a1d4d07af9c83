"""Stage review: the cohort on one page, and what people decided who looked at it.

INPUTS:  group/{metrics,flags,exclusions}.tsv, <unit>/figures/*_desc-thumbnails_qc.jpg
         review/ratings*.tsv, objects*.tsv          of the raters
OUTPUTS: report/qc.html                             the page to look through and to rate on
         group/{ratings,rejected,rating_agreement}.tsv
         Beside every table a JSON that describes its columns.
"""

from glymph.review import object_ratings, ratings


include: "functions/review.smk"


RATINGS = ratings.rating_files(cohort.review_folder(config))
OBJECT_RATINGS = object_ratings.object_files(cohort.review_folder(config))
if workflow.is_main_process and not cohort.no_dataset(config):
    check_raters_files()


rule review_ratings:
    """Collect the raters' judgements: which count, what leaves the analysis, who agrees."""
    input:
        ratings=RATINGS,
        objects=OBJECT_RATINGS,
    output:
        ratings=f"{OUT}/group/ratings.tsv",
        rejected=f"{OUT}/group/rejected.tsv",
        agreement=f"{OUT}/group/rating_agreement.tsv",
    log:
        f"{OUT}/logs/review_ratings.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        reject_if=config["review"]["reject_if"],
        sources=states([*RATINGS, *OBJECT_RATINGS]),
        definitions=[
            provenance.file_hash(ROOT / "resources" / f"{name}.yaml")
            for name in ("review", "regions")
        ],
        code=code("review/ratings.py"),
    message:
        "Collect the ratings"
    script:
        "../scripts/review/ratings.py"


rule review_page:
    """Write the page of the whole cohort."""
    input:
        table=rules.metrics_group.output.table,
        flags=rules.metrics_group.output.flags,
        exclusions=rules.metrics_group.output.exclusions,
        ratings=rules.review_ratings.output.ratings,
        thumbnails=of_units([scan.unit for scan in COHORT.scans], "figures", THUMBNAILS),
    output:
        page=report(
            f"{OUT}/report/qc.html",
            caption="../report/qc.rst",
            category="Report",
            labels={"report": "quality control"},
        ),
    log:
        f"{OUT}/logs/review_page.log",
    conda:
        env("core")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        units=[
            (scan.unit.participant_id, scan.unit.session_id, scan.unit.folder)
            for scan in COHORT.scans
        ],
        thresholds=config["qc"]["thresholds"],
        code=code("review/page.py"),
        definitions=[
            provenance.file_hash(ROOT / "resources" / f"{name}.yaml")
            for name in ("review", "metrics")
        ],
        layout=provenance.file_hash(ROOT / "workflow" / "glymph" / "review" / "page.html.j2"),
    message:
        "Write the page of the cohort"
    script:
        "../scripts/review/page.py"
