"""What the rules of stage report ask of the cohort, the configuration and each other."""


def stats_tables(wildcards):
    """Every table of stage stats, so that the report is made anew when one changes."""
    return [
        path
        for name in ("cohort", "demographics", "comparison", "correlations", "regression",
                     "discrimination", "longitudinal")
        for path in getattr(rules, f"stats_{name}").output
    ]  # fmt: skip


def imaging_settings():
    """What made the metrics, for the methods text; None for a table made elsewhere."""
    if config["metrics_table"]:
        return None
    return {key: config[key] for key in ("anat", "epvs", "dwi", "alps")}


def subject_pages():
    """(subject, link from the report) of every subject's page."""
    return [(scan.unit.prefix, f"../{scan.unit.path('', 'qc.html')}") for scan in COHORT.scans]
