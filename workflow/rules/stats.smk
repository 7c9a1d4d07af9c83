"""Stage stats: the cohort's analyses; needs one table of metrics, no image.

INPUTS:  group/metrics.tsv, or the table that metrics_table names; group/rejected.tsv
OUTPUTS: group/stats/{analysed,sessions,left_out}.tsv, decisions.json    who is analysed, and why
         group/stats/demographics{,_tests}.tsv                           Table 1
         group/stats/{comparison,pairs,groups}.tsv                       Tables 3 and 4
         group/stats/sensitivity.tsv                                     one choice changed at a time
         group/stats/{correlations,alps_beyond_ratio,alps_epvs}.tsv      Figures 4 and 5
         group/stats/{regression,moderation,simple_slopes,mediation,counts}.tsv
         group/stats/{discrimination,roc,calibration,auc_differences}.tsv
         group/stats/{markers,marker_differences}.tsv                    single metrics
         group/stats/longitudinal.tsv                                    several sessions
         Beside every table a JSON that describes its columns.
"""


include: "functions/stats.smk"


rule stats_cohort:
    """Decide who is analysed: groups, one session per subject, sites."""
    input:
        table=config["metrics_table"] or rules.metrics_group.output.table,
        rejected=rules.review_ratings.output.rejected,
    output:
        analysed=f"{STATS}/analysed.tsv",
        sessions=f"{STATS}/sessions.tsv",
        left_out=f"{STATS}/left_out.tsv",
        decisions=f"{STATS}/decisions.json",
    log:
        f"{OUT}/logs/stats_cohort.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=stats_settings(
            "groups",
            "metrics",
            "scores",
            "covariates",
            "categorical",
            "features",
            "moderators",
            "mediation",
            "session",
            "sessions",
            "site",
        ),
        columns=columns_of_the_table(),
        groups=config["participants"]["groups"],
        ranges=config["participants"]["ranges"],
        left_out=COHORT.left_out if config["metrics_table"] else {},
        unfinished=unfinished(),
        sources=states(filter(None, [config["metrics_table"]])),
        code=code("stats/cohort.py"),
        definitions=statistics_definitions(),
    message:
        "Decide who is analysed"
    script:
        "../scripts/stats/cohort.py"


rule stats_demographics:
    """Describe covariates and scores by group."""
    input:
        analysed=rules.stats_cohort.output.analysed,
        decisions=rules.stats_cohort.output.decisions,
    output:
        table=f"{STATS}/demographics.tsv",
        tests=f"{STATS}/demographics_tests.tsv",
    log:
        f"{OUT}/logs/stats_demographics.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=stats_settings("alpha", "seed"),
        code=code("stats/demographics.py"),
        definitions=statistics_definitions(),
    message:
        "Describe covariates and scores by group"
    script:
        "../scripts/stats/demographics.py"


rule stats_comparison:
    """Compare the groups in every metric, and again with one choice changed at a time."""
    input:
        analysed=rules.stats_cohort.output.analysed,
        decisions=rules.stats_cohort.output.decisions,
    output:
        tests=f"{STATS}/comparison.tsv",
        pairs=f"{STATS}/pairs.tsv",
        groups=f"{STATS}/groups.tsv",
        sensitivity=f"{STATS}/sensitivity.tsv",
    log:
        f"{OUT}/logs/stats_comparison.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        settings=stats_settings("metrics", "test", "alpha", "equivalence", "seed"),
        code=code("stats/comparison.py"),
        definitions=statistics_definitions(),
    message:
        "Compare the groups"
    script:
        "../scripts/stats/comparison.py"


rule stats_correlations:
    """Correlate metrics with scores, and ALPS with perivascular spaces."""
    input:
        analysed=rules.stats_cohort.output.analysed,
        decisions=rules.stats_cohort.output.decisions,
    output:
        scores=f"{STATS}/correlations.tsv",
        beyond_ratio=f"{STATS}/alps_beyond_ratio.tsv",
        alps_epvs=f"{STATS}/alps_epvs.tsv",
    log:
        f"{OUT}/logs/stats_correlations.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        settings=stats_settings("correlation"),
        code=code("stats/correlations.py"),
        definitions=statistics_definitions(),
    message:
        "Correlate metrics with scores"
    script:
        "../scripts/stats/correlations.py"


rule stats_regression:
    """Regress scores on metrics: nested models, moderators, mediation; model counts."""
    input:
        analysed=rules.stats_cohort.output.analysed,
        sessions=rules.stats_cohort.output.sessions,
        decisions=rules.stats_cohort.output.decisions,
    output:
        models=f"{STATS}/regression.tsv",
        moderation=f"{STATS}/moderation.tsv",
        simple_slopes=f"{STATS}/simple_slopes.tsv",
        mediation=f"{STATS}/mediation.tsv",
        counts=f"{STATS}/counts.tsv",
    log:
        f"{OUT}/logs/stats_regression.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        settings=stats_settings("mediation", "site", "seed"),
        code=code("stats/regression.py"),
        definitions=statistics_definitions(),
    message:
        "Regress scores on metrics"
    script:
        "../scripts/stats/regression.py"


rule stats_discrimination:
    """Cross-validate the discrimination of groups by ALPS, perivascular spaces and both."""
    input:
        analysed=rules.stats_cohort.output.analysed,
        sessions=rules.stats_cohort.output.sessions,
        decisions=rules.stats_cohort.output.decisions,
    output:
        auc=f"{STATS}/discrimination.tsv",
        roc=f"{STATS}/roc.tsv",
        calibration=f"{STATS}/calibration.tsv",
        auc_differences=f"{STATS}/auc_differences.tsv",
        markers=f"{STATS}/markers.tsv",
        marker_differences=f"{STATS}/marker_differences.tsv",
    log:
        f"{OUT}/logs/stats_discrimination.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        settings=stats_settings(
            "features", "folds", "repeats", "permutations", "regularisation", "seed"
        ),
        code=code("stats/discrimination.py"),
        definitions=statistics_definitions(),
    message:
        "Cross-validate the discrimination of groups"
    script:
        "../scripts/stats/discrimination.py"


rule stats_longitudinal:
    """Fit mixed models to subjects with several sessions."""
    input:
        sessions=rules.stats_cohort.output.sessions,
        decisions=rules.stats_cohort.output.decisions,
    output:
        table=f"{STATS}/longitudinal.tsv",
    log:
        f"{OUT}/logs/stats_longitudinal.log",
    conda:
        env("stats")
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=stats_settings("site"),
        code=code("stats/longitudinal.py"),
        definitions=statistics_definitions(),
    message:
        "Fit mixed models to several sessions"
    script:
        "../scripts/stats/longitudinal.py"
