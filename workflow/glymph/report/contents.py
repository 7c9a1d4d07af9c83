"""What the report holds, and where: its sections, their tables and figures."""

from __future__ import annotations

from glymph.report import models, published, tables
from glymph.report.results import Results

SECTIONS = {
    "Who was analysed": (["demographics"], ["cohort"]),
    "Agreement of raters": (["agreement", "rating_agreement"], ["agreement"]),
    "Enlarged perivascular spaces": (["epvs", "counts"], ["groups_epvs"]),
    "ALPS": (["alps", "published"], ["groups_alps"]),
    "Other metrics": (["other"], ["groups_other"]),
    "Cognition": (
        [
            f"{name}{rows}"
            for name in (
                "correlations_alps",
                "alps_beyond_ratio",
                "correlations_epvs",
                "correlations_other",
            )
            for rows in ("", "_rows")
        ]
        + ["regression", "moderation", "simple_slopes", "mediation"],
        ["scores_alps", "scores_epvs"],
    ),
    "ALPS and perivascular spaces": (["alps_epvs"], ["correlations"]),
    "Telling the groups apart": (
        ["discrimination", "auc_differences", "markers", "markers_rows", "marker_differences"],
        ["roc", "calibration"],
    ),
    "Several sessions": (["longitudinal"], []),
    "Assumptions and sensitivity": (["assumptions", "power"], ["sensitivity"]),
    "Who was left out": (["left_out"], []),
}
"""Tables and figures of every section; what does not exist is passed over."""


def all_tables(results: Results) -> dict[str, tables.Table]:
    """Every table that the data allow, by name, in the order of the report."""
    found = [
        tables.demographics(results),
        tables.agreement(results),
        tables.rating_agreement(results),
        tables.comparison(results, results.metrics("epvs_"), "epvs",
                   "Table 3. Enlarged perivascular spaces by group"),
        tables.comparison(results, results.metrics("alps_"), "alps", "Table 4. ALPS by group"),
        tables.comparison(results, results.other_metrics, "other", "Other metrics by group"),
        models.counts(results),
        published.beside(results),
        tables.assumptions(results),
        models.power(results),
        *tables.correlations(results, results.metrics("epvs_"), "correlations_epvs",
                             "Perivascular spaces and cognition"),
        *tables.correlations(results, results.metrics("alps_"), "correlations_alps",
                             "ALPS and cognition"),
        *tables.correlations(results, results.other_metrics, "correlations_other",
                             "Other metrics and cognition"),
        tables.beyond_ratio(results),
        tables.alps_epvs(results),
        models.regression(results),
        models.moderation(results),
        models.simple_slopes(results),
        models.mediation(results),
        tables.discrimination(results),
        tables.auc_differences(results),
        *models.markers(results),
        models.marker_differences(results),
        tables.longitudinal(results),
        tables.left_out(results),
    ]  # fmt: skip
    return {table.name: table for table in found if table is not None}
