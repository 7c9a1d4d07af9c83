"""Tables of regressions, mediation and single markers, as readers want them."""

from __future__ import annotations

import pandas as pd

from glymph.report.results import Results, fixed, label, number, p_text, within
from glymph.report.tables import Table

COLLINEAR = 5
"""Variance inflation from which a metric is hard to tell apart from the other terms."""


def _lost(table: pd.DataFrame, column: str, what: str) -> str:
    """One sentence for all rows without a result: how many, and why."""
    lost = table[table[column].isna()]
    if not len(lost):
        return ""
    why = "; ".join(f"{n} ({reason})" for reason, n in lost["reason"].value_counts().items())
    return f"Not computed: {len(lost)} of {len(table)} {what}: {why}."


def regression(results: Results) -> Table | None:
    """Every score on every metric: the coefficient in each model, and what the last rests on."""
    table = results["regression"]
    if not len(table):
        return None
    models = list(dict.fromkeys(table["model"]))
    rows = []
    for (x, y), part in table[table["beta"].notna()].groupby(["x", "y"], sort=False):
        by_model = {r["model"]: r for _, r in part.iterrows()}
        last = by_model[list(by_model)[-1]]
        cells = [within(by_model[m], "beta") if m in by_model else "" for m in models]
        rows.append([results.name(x), label(y), f"{last['n']:.0f}", *cells, p_text(last["p_fdr"]),
                     fixed(last["r2"]), _inflation(last["vif"]), _influence(last)])  # fmt: skip
    head = ["", "score", "n", *(f"model {m}: β (95 % CI)" for m in models),
            "P of the last (FDR)", "R² of the last", "VIF",
            "β without influential subjects"]  # fmt: skip
    note = (
        "Standardised coefficients of linear models: 1 the metric alone, 2 with the covariates, 3 "
        "with the groups too, all in the same subjects. VIF: variance inflation of the metric by "
        f"the other terms, marked from {COLLINEAR} on. Influential: Cook's distance above 4 / n."
    )
    note = " ".join(filter(None, [note, _lost(table, "beta", "models")]))
    return Table("regression", "Scores by metrics: linear models", head, rows, note, folded=True)


def _inflation(value: float) -> str:
    return f"{fixed(value, 1)}{' !' if value >= COLLINEAR else ''}"


def _influence(row) -> str:
    if pd.isna(row["beta_without"]):
        return "none"
    return f"{fixed(row['beta_without'])} (without {row['influential']:.0f})"


def moderation(results: Results) -> Table | None:
    """P of every interaction, a column for each moderator."""
    table = results["moderation"]
    if not len(table):
        return None
    moderators = list(dict.fromkeys(table["moderator"]))
    rows = []
    for (x, y), part in table.groupby(["x", "y"], sort=False):
        by = {r["moderator"]: r for _, r in part.iterrows() if pd.notna(r["p"])}
        if by:
            rows.append([results.name(x), label(y),
                         *(_test(by[m]) if m in by else "" for m in moderators)])  # fmt: skip
    note = (
        "F test of the interaction of metric and moderator, in models of the score with the "
        "covariates; P corrected for the false-discovery rate within each moderator."
    )
    return Table("moderation", "What changes how a metric goes with a score", [
        "", "score", *(f"{label(m)}: F, P (FDR)" for m in moderators)], rows,
        " ".join(filter(None, [note, _lost(table, "p", "interactions")])), folded=True)  # fmt: skip


def _test(row) -> str:
    return f"{fixed(row['statistic'])}, {p_text(row['p_fdr'])}"


def simple_slopes(results: Results) -> Table | None:
    """The metric's coefficient at the levels of moderators whose interaction is significant."""
    tests, alpha = results["moderation"], results.settings["alpha"]
    keys = ["x", "y", "moderator"]
    found = tests[tests["p_fdr"] < alpha][keys] if len(tests) else tests
    if not len(found):
        return None
    table = results["simple_slopes"].merge(found, on=keys)
    rows = [[results.name(r["x"]), label(r["y"]), label(r["moderator"]), str(r["level"]),
             within(r, "beta"), p_text(r["p"])] for _, r in table.iterrows()]  # fmt: skip
    return Table("simple_slopes", "Simple slopes where an interaction is significant",
                 ["", "score", "moderator", "level", "β (95 % CI)", "P"], rows,
                 "All others: group/stats/simple_slopes.tsv.")  # fmt: skip


PATHS = {
    "a": "{x} → {mediator}", "b": "{mediator} → {y}, given the first", "total": "{x} → {y}",
    "direct": "{x} → {y}, given the mediator", "indirect": "{x} → {mediator} → {y}",
}  # fmt: skip


def mediation(results: Results) -> Table | None:
    table = results["mediation"]
    if not len(table):
        return None
    rows = []
    for _, r in table[table["beta"].notna()].iterrows():
        names = {key: results.name(r[key]) for key in ("x", "mediator", "y")}
        rows.append([f"{r['path']}: {PATHS[r['path']].format(**names)}", f"{r['n']:.0f}",
                     within(r, "beta"), p_text(r["p"])])  # fmt: skip
    note = (
        "Standardised coefficients given the covariates; the indirect path with percentiles of "
        "5,000 bootstrap resamples. Regressions in one visit: the order of things is assumed, not "
        "shown."
    )
    lost = "; ".join(
        f"{results.name(r['x'])} through {results.name(r['mediator'])} to {results.name(r['y'])} "
        f"({r['reason']})"
        for _, r in table[table["beta"].isna()].iterrows()
    )
    return Table("mediation", "Mediation", ["path", "n", "β (95 % CI)", "P"], rows,
                 note + (f" Not computed: {lost}." if lost else ""))  # fmt: skip


def markers(results: Results) -> list[Table]:
    """AUC of single metrics as a matrix with a column for each pair of groups; and, folded, rows
    with Youden's cut."""
    table = results["markers"]
    have = table[table["auc"].notna()]
    if not len(have):
        return []
    contrasts = list(dict.fromkeys(have["contrast"]))
    cells = {(r["metric"], r["contrast"]): _area(r) for _, r in have.iterrows()}
    matrix = [[results.name(m), *(cells.get((m, c), "") for c in contrasts)]
              for m in dict.fromkeys(have["metric"])]  # fmt: skip
    rows = [
        [r["contrast"], results.name(r["metric"]), f"{r['n']:.0f}", _area(r), p_text(r["p_fdr"]),
         f"{'>' if r['direction'] == 'higher' else '<'} {number(r['cut'])}",
         fixed(r["sensitivity"]), fixed(r["specificity"])]
        for _, r in have[have["cut"].notna()].iterrows()
    ]  # fmt: skip
    note = (
        "Area under the curve of this cohort itself, with DeLong's interval, in the direction of "
        "the second group's median (> higher, < lower). Nothing is held back here, so that these "
        "areas, and still more the cut with its sensitivity and specificity, are apparent: what a "
        "model does with subjects it has not seen stands above."
    )
    head = ["groups", "", "n", "AUC (95 % CI)", "P (FDR)", "cut", "sensitivity", "specificity"]
    title = "Single metrics (apparent)"
    return [
        Table("markers", title, ["", *contrasts], matrix,
              " ".join(filter(None, [note, _lost(table, "auc", "areas")]))),
        Table("markers_rows", f"{title}: cuts, sensitivity, specificity", head, rows,
              "The second group is beyond the cut that makes sensitivity + specificity largest "
              "(Youden).", folded=True),
    ]  # fmt: skip


def _area(row) -> str:
    sign = ">" if row["direction"] == "higher" else "<"
    if pd.isna(row["auc_low"]):
        return f"{sign} {fixed(row['auc'])}"
    return f"{sign} {within(row, 'auc')}"


def marker_differences(results: Results) -> Table | None:
    table = results["marker_differences"]
    if not len(table):
        return None
    rows = [
        [r["contrast"], f"{results.name(r['features1'])} - {results.name(r['features2'])}",
         f"{r['n']:.0f}", within(r, "difference", 3), p_text(r["p"])]
        for _, r in table[table["p"].notna()].iterrows()
    ]  # fmt: skip
    return Table("marker_differences", "Differences of AUC between single metrics",
                 ["groups", "metrics", "n", "difference (95 % CI)", "P"], rows,
                 "DeLong's test, in the subjects who have both.", folded=True)  # fmt: skip


def counts(results: Results) -> Table | None:
    """Rate ratios of the numbers of perivascular spaces."""
    table = results["counts"]
    if not len(table):
        return None
    rows = [
        [results.name(r["metric"]), f"{r['group1']} / {r['group2']}", f"{r['n']:.0f}",
         within(r, "rate_ratio"), p_text(r["p"]),
         p_text(r["p_fdr"]), p_text(r["p_groups"]), str(r["model"]),
         f"{r['zeros']:.0f} ({number(r['zeros_expected'], 2)})"]
        for _, r in table[table["rate_ratio"].notna()].iterrows()
    ]  # fmt: skip
    note = (
        "How many times as many perivascular spaces the first group has as the second, at the same "
        "covariates: negative binomial regression, or Poisson where counts scatter no more. All "
        "groups: F test. Many more subjects without any than the model expects "
        "would speak against it."
    )
    lost = table[table["rate_ratio"].isna()]
    why = "; ".join(f"{results.name(r['metric'])} ({r['reason']})" for _, r in lost.iterrows())
    head = ["", "groups", "n", "rate ratio (95 % CI)", "P", "P (FDR)", "P, all groups", "model",
            "without any (expected)"]  # fmt: skip
    return Table("counts", "Numbers of perivascular spaces as counts", head, rows,
                 note + (f" Not computed: {why}." if why else ""))  # fmt: skip


def power(results: Results) -> Table | None:
    """What pairs of groups could have shown, where no difference was found."""
    table, alpha = results["pairs"], results.settings["alpha"]
    if not len(table):
        return None
    quiet = table[table["p_bonferroni"] >= alpha]
    rows = [
        [results.name(r["metric"]), f"{r['group1']} vs {r['group2']}",
         f"{r['n1']:.0f}, {r['n2']:.0f}",
         within(r, "hedges_g"),
         fixed(r["detectable_g"]) if pd.notna(r["detectable_g"]) else "n/a",
         p_text(r["equivalence_p"])]
        for _, r in quiet.iterrows()
    ]  # fmt: skip
    bound = results.settings["equivalence"]
    return Table(
        "power", "What was not found, and could have been",
        ["", "groups", "n", "Hedges g (95 % CI)", "detectable g", "P of equivalence"], rows,
        "Pairs without a significant difference. Detectable: the difference in standard deviations "
        "that a t test finds in 8 of 10 cohorts of this size at the corrected level. Equivalence: "
        f"two one-sided tests that the adjusted means lie within {bound:g} residual standard "
        "deviations of one another, not corrected; large where the cohort cannot tell (n/a after "
        "Kruskal-Wallis).", folded=True,
    )  # fmt: skip
