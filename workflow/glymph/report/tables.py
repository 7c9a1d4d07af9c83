"""Tables 1 to 4 and what stands beside them, as readers want them: rows of text."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from glymph.report.results import AGREEMENT, Results, fixed, label, number, p_text, within
from glymph.stats.analysed import WHOLE


@dataclass(frozen=True)
class Table:
    """``head`` and ``rows`` of text; the first column names the row. ``note`` stands below.

    A ``folded`` table holds more than most readers want: the page shows it on demand.
    """

    name: str
    title: str
    head: list[str]
    rows: list[list[str]]
    note: str = ""
    folded: bool = False


def _value(row) -> str:
    if row is None or not row["n"]:
        return "n/a"
    if pd.isna(row.get("sd")):
        return number(row["mean"])
    return f"{number(row['mean'])} ± {number(row['sd'])}"


def _median(row) -> str:
    if row is None or not row["n"]:
        return "n/a"
    return f"{number(row['median'])} ({number(row['q1'])}, {number(row['q3'])})"


def _statistic(row) -> str:
    """The test with its statistic and degrees of freedom, or why there is none."""
    if row["test"] == "none":
        return f"not tested: {row['reason']}"
    if pd.isna(row.get("statistic")):
        return str(row["test"])
    letter = {"Kruskal-Wallis": "H", "chi-square": "χ²"}.get(row["test"], "F")
    df = f"{row['df1']:.0f}"
    if pd.notna(row.get("df2")):
        df += f", {row['df2']:.0f}"
    return f"{row['test']}, {letter}({df}) = {row['statistic']:.2f}"


def demographics(results: Results) -> Table:
    """Table 1."""
    described, tests = results["demographics"], results["demographics_tests"].set_index("variable")
    sizes = results["analysed"]["group"].value_counts()
    head = ["", *(f"{g} (n = {sizes.get(g, 0)})" for g in results.groups), "test", "P"]
    rows = []
    for name in dict.fromkeys(described["variable"]):
        part, test = described[described["variable"] == name], tests.loc[name]
        missing = part.drop_duplicates("group")["missing"].sum()
        note = f" ({missing:.0f} missing)" if missing else ""
        end = [_statistic(test), p_text(test["p"])]
        if part["level"].notna().any():
            levels = list(dict.fromkeys(part["level"]))
            cells = [":".join(_count(part, g, v) for v in levels) for g in results.groups]
            rows.append([f"{label(name)}, {' : '.join(levels)}{note}", *cells, *end])
            continue
        cells = [_row_of(part, g) for g in results.groups]
        rows.append([f"{label(name)}{note}", *map(_value, cells), *end])
        rows.append(["   median (quartiles)", *map(_median, cells), "", ""])
    return Table("demographics", "Table 1. Subjects", head, rows,
                 "Mean ± standard deviation, and median (first, third quartile).")  # fmt: skip


def _count(part: pd.DataFrame, group: str, level: str) -> str:
    found = part[(part["group"] == group) & (part["level"] == level)]["n"]
    return f"{found.iloc[0]:.0f}" if len(found) else "0"


def _row_of(part: pd.DataFrame, group: str):
    found = part[part["group"] == group]
    return found.iloc[0] if len(found) else None


def of_group(part: pd.DataFrame, group: str, means: bool) -> str:
    """A metric within a group: mean ± standard deviation, or median (quartiles)."""
    return (_value if means else _median)(_row_of(part, group))


IN_TABLE = [name for name in AGREEMENT if name not in ("recall", "precision")]
"""The measures of agreement that the table shows; those of voxels are in figure 3."""


def agreement(results: Results) -> Table | None:
    """Table 2, where there are raters."""
    if "agreement_summary" not in results.tables or not len(results["agreement_summary"]):
        return None
    table = results["agreement_summary"]
    places = {group: number for number, group in enumerate(results.groups)}
    rows = []
    for (result, reference), pair in table.groupby(["result", "reference"], sort=False):
        groups = sorted(pair["group"].unique(), key=lambda group: places.get(group, len(places)))
        for group in groups:
            part = pair[pair["group"] == group].set_index("measure")
            cells = [_median(part.loc[m]) for m in IN_TABLE]
            rows.append([f"{result} and {reference}", group, f"{part['n'].max():.0f}", *cells])
    made = "".join(f" How the masks were made: {how}." for how in table["reference_made"].unique())
    return Table("agreement", "Table 2. Agreement with raters",
                 ["", "group", "n", *(AGREEMENT[m] for m in IN_TABLE)], rows,
                 "Median (quartiles) over subjects. Differences: the first minus the second. "
                 "Objects: perivascular spaces of 2 mm and longer. Outside: share of the second's "
                 "that lies in no region. Further measures: group/agreement_summary.tsv."
                 + made)  # fmt: skip


def rating_agreement(results: Results) -> Table | None:
    """How far people agree who rated on the page of the cohort or in the viewer, where two did."""
    table = results.tables.get("rating_agreement")
    if table is None or not len(table):
        return None
    shown = table[["item", "rater1", "rater2", "n", "agreement", "kappa"]]
    rows = [[_text(v) for v in row] for row in shown.itertuples(index=False)]
    return Table("rating_agreement", "Agreement of those who rated",
                 ["item", "rater", "rater", "n", "same rating", "kappa"], rows,
                 "Cohen's kappa, unweighted; n/a where it cannot be computed. all: the items "
                 "together; objects: single perivascular spaces, accepted or deleted.")  # fmt: skip


def _text(value) -> str:
    if isinstance(value, float):
        return number(value)
    return "n/a" if value is None or value != value else str(value)


def comparison(results: Results, metrics: list[str], name: str, title: str) -> Table | None:
    """Tables 3 and 4: every metric by group, the test, and the pairwise P."""
    tests = results["comparison"].set_index("metric")
    metrics = [m for m in metrics if m in tests.index]
    if not metrics:
        return None
    groups, pairs = results["groups"], results["pairs"]
    names = [(a, b) for k, a in enumerate(results.groups) for b in results.groups[k + 1 :]]
    head = ["", *results.groups, "test", "P", "P (FDR)", "effect size (95 % CI)"]
    head += [f"{a} vs {b}" for a, b in names]
    rows = []
    for metric in metrics:
        test, part = tests.loc[metric], groups[groups["metric"] == metric]
        mine = pairs[pairs["metric"] == metric]
        cells = [of_group(part, g, test["test"] == "ANCOVA") for g in results.groups]
        effect = ""
        if pd.notna(test["effect"]):
            mark = {"partial eta2": "η²p", "epsilon2": "ε²"}[test["effect_name"]]
            low, high = number(test["effect_low"], 2), number(test["effect_high"], 2)
            effect = f"{mark} {number(test['effect'], 2)} ({low}, {high})"
        found = [_pair(mine, a, b) for a, b in names]
        rows.append([results.name(metric), *cells, _statistic(test), p_text(test["p"]),
                     p_text(test["p_fdr"]), effect, *found])  # fmt: skip
    full = {results.name(m): label(m) for m in metrics if m.startswith("alps_")}
    return Table(name, title, head, rows,
                 "Mean ± standard deviation where ANCOVA was used, else median (quartiles). "
                 "Pairwise P: contrasts of adjusted means, or Dunn's test; both times the number "
                 "of pairs (Bonferroni). FDR: over all metrics that were compared."
                 + "".join(f" {short}: {long}." for short, long in full.items()))  # fmt: skip


def _pair(mine: pd.DataFrame, a: str, b: str) -> str:
    found = mine[(mine["group1"] == a) & (mine["group2"] == b)]
    return p_text(found.iloc[0]["p_bonferroni"]) if len(found) else "n/a"


def assumptions(results: Results) -> Table:
    """What the choice of each test rests on."""
    rows = [
        [results.name(r["metric"]), str(r["test"]), str(r["reason"]),
         p_text(r["shapiro_residuals_p"]), p_text(r["levene_p"]), p_text(r["slopes_p"]),
         p_text(r["ancova_p"]), p_text(r["kruskal_p"]), p_text(r["anova_p"]),
         _count_text(r["ancova_n"]), _text(r["note"]).replace("n/a", "")]
        for _, r in results["comparison"].iterrows()
    ]  # fmt: skip
    head = ["", "test", "reason", "Shapiro-Wilk of residuals", "Levene", "homogeneity of slopes",
            "ANCOVA P", "Kruskal-Wallis P", "one-way ANOVA P", "n of ANCOVA", "note"]  # fmt: skip
    return Table("assumptions", "Assumptions and the choice of tests", head, rows,
                 "A small P of Levene or of the slopes says that ANCOVA's picture is too simple: "
                 "read the Kruskal-Wallis P beside it.")  # fmt: skip


def _count_text(value) -> str:
    return "n/a" if pd.isna(value) else f"{value:.0f}"


def correlations(results: Results, metrics: list[str], name: str, title: str) -> list[Table]:
    """Partial correlations with the scores as a matrix, a column for each score in the cohort and
    in each group; and, folded, a row for each with n and interval."""
    table = results["correlations"]
    table = table[table["x"].isin(metrics)]
    if not len(table):
        return []
    columns = list(dict.fromkeys(zip(table["y"], table["group"], strict=True)))
    columns.sort(key=lambda column: results.plan["scores"].index(column[0]))
    cells = {(r["x"], r["y"], r["group"]): _in_matrix(r) for _, r in table.iterrows()}
    matrix = [
        [results.name(x), *(cells.get((x, *column), "") for column in columns)]
        for x in dict.fromkeys(table["x"])
    ]
    head = ["", *(f"{label(y)}, {group}" for y, group in columns)]
    note = "r, and in brackets P corrected for the false-discovery rate within the column's group."
    lost = not_computed(table)
    rows = [
        [results.name(r["x"]), label(r["y"]), r["group"], _count_text(r["n"]), within(r, "r"),
         fixed(r["r2"], 3), p_text(r["p"]), p_text(r["p_fdr"])]
        for _, r in table[table["r"].notna()].iterrows()
    ]  # fmt: skip
    long = ["", "score", "group", "n", "r (95 % CI)", "R²", "P", "P (FDR)"]
    return [
        Table(name, title, head, matrix, " ".join(filter(None, [note, lost]))),
        Table(f"{name}_rows", f"{title}: n, intervals, P", long, rows, folded=True),
    ]


def _in_matrix(row) -> str:
    return "" if pd.isna(row["r"]) else f"{fixed(row['r'])} ({p_text(row['p_fdr'])})"


def not_computed(table: pd.DataFrame) -> str:
    """One sentence for all correlations that do not exist: how many, where, and why."""
    lost = table[table["r"].isna()]
    parts = []
    for reason, part in lost.groupby("reason", sort=False):
        groups = ", ".join(dict.fromkeys(part["group"]))
        parts.append(f"{len(part)} in {groups} ({reason})")
    if not parts:
        return ""
    return f"Not computed: {len(lost)} of {len(table)} correlations: {'; '.join(parts)}."


def discrimination(results: Results) -> Table:
    rows = []
    for _, r in results["discrimination"].iterrows():
        if pd.isna(r["auc"]):
            rows.append([r["contrast"], r["features"], _text(r["n"]), r["reason"], "", "", "", ""])
            continue
        auc = within(r, "auc")
        rows.append([r["contrast"], r["features"], f"{r['n']:.0f}", auc, p_text(r["p_permutation"]),
                     number(r["sensitivity"], 2), number(r["specificity"], 2),
                     number(r["calibration_slope"], 2)])  # fmt: skip
    head = ["groups", "features", "n", "AUC (95 % CI)", "P (permutation)", "sensitivity",
            "specificity", "calibration slope"]  # fmt: skip
    note = (
        "Every number is of subjects that the model had not seen. Sensitivity and specificity for "
        "the second group, at its share among the training subjects."
    )
    return Table("discrimination", "Discrimination of groups", head, rows, note)


def auc_differences(results: Results) -> Table:
    """Feature sets against one another, on the same folds."""
    rows = [
        [r["contrast"], f"{r['features1']} - {r['features2']}",
         within(r, "difference", 3),
         p_text(r["p"])]
        for _, r in results["auc_differences"].iterrows()
    ]  # fmt: skip
    return Table("auc_differences", "Differences of AUC between sets of features",
                 ["groups", "features", "difference (95 % CI)", "P"], rows,
                 "Resampled t test, corrected for overlapping training sets.")  # fmt: skip


def beyond_ratio(results: Results) -> Table | None:
    """ALPS with scores, without and with the eigenvalue ratio held fixed, whole cohort."""
    kinds = ("covariates", "covariates and ratio")
    rows, lost = _side_by_side(results, "alps_beyond_ratio", "given", kinds)
    if not rows:
        return None
    head = ["", "with", "r (95 % CI)", "P (FDR)", "r given the ratio (95 % CI)", "P (FDR)"]
    return Table("alps_beyond_ratio", "Does ALPS say more than the eigenvalue ratio?", head, rows,
                 "Partial correlation given the covariates, and given the ratio of the middle to "
                 "the smallest eigenvalue of the same regions too, which names no direction. Where "
                 "nothing is left in the second, the first was one of fibres that cross or fan; "
                 f"within groups: group/stats/alps_beyond_ratio.tsv. {lost}".strip())  # fmt: skip


def _side_by_side(
    results: Results, name: str, column: str, kinds: tuple[str, str]
) -> tuple[list[list[str]], str]:
    """Rows of pairs (x, y) of the whole cohort, with r and P of both ``kinds`` of ``column``, and
    the sentence of `not_computed`."""
    table = results[name]
    table = table[table["group"] == WHOLE]
    rows = []
    for (x, y), part in table.groupby(["x", "y"], sort=False):
        cells = []
        for kind in kinds:
            r = part[part[column] == kind].iloc[0]
            cells += ["", ""] if pd.isna(r["r"]) else [within(r, "r"), p_text(r["p_fdr"])]
        if any(cells):
            rows.append([results.name(x), results.name(y), *cells])
    return rows, not_computed(table)


def alps_epvs(results: Results) -> Table:
    """ALPS with perivascular spaces, whole cohort."""
    rows, lost = _side_by_side(results, "alps_epvs", "kind", ("plain", "partial"))
    head = ["", "with", "ρ (95 % CI)", "P (FDR)", "partial ρ (95 % CI)", "P (FDR)"]
    return Table("alps_epvs", "ALPS and perivascular spaces", head, rows,
                 "Spearman correlation, plain and given the covariates, all groups together; "
                 f"within groups: group/stats/alps_epvs.tsv. {lost}".strip())  # fmt: skip


def left_out(results: Results) -> Table:
    rows = [[_text(v) for v in row] for row in results["left_out"].itertuples(index=False)]
    return Table("left_out", "Not analysed", ["subject", "session", "reason"], rows)


def longitudinal(results: Results) -> Table | None:
    """Mixed models, where any subject has several sessions."""
    table = results["longitudinal"]
    if not table["estimate"].notna().any():
        return None
    rows = []
    for _, r in table.iterrows():
        interval = "" if pd.isna(r["low"]) else f"{number(r['low'])}, {number(r['high'])}"
        estimate = "" if pd.isna(r["estimate"]) else number(r["estimate"])
        term = r["term"] if r["term"] != "none" else str(r["reason"])
        rows.append([results.name(r["metric"]), term, estimate, interval, p_text(r["p"]),
                     _count_text(r["n_subjects"]), _count_text(r["n_sessions"]),
                     _text(r["note"]).replace("n/a", "")])  # fmt: skip
    head = ["", "term", "estimate", "95 % CI", "P", "subjects", "sessions", "note"]
    return Table("longitudinal", "Change over sessions (mixed models)", head, rows)
