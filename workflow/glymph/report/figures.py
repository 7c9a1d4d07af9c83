"""The figures, one style: readable in grey and by the colour-blind, no text below 7 pt in print.

Every function returns a matplotlib figure, or None where its data do not exist.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from glymph.report.results import AGREEMENT, MARKERS, SETS, Results, p_equals
from glymph.stats.analysed import WHOLE
from glymph.stats.correlation import residuals
from glymph.stats.design import NotComputable

WIDTH = 7.1
"""Inches: the width of a printed page, so that points in the file are points in print."""
STYLE = {
    "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5, "legend.fontsize": 7.5, "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.7, "svg.fonttype": "none",
    "pdf.fonttype": 42, "svg.hashsalt": "glymph", "font.family": "DejaVu Sans",
    "text.parse_math": False,
}  # fmt: skip
"""Dollar signs stay what they are: names of groups and columns are no formulas."""
MOST_SUBJECTS = 400
"""Rows of the cohort's picture; beyond, subjects are shown in equal steps."""


MOST_LINES = 6
"""Metrics in one figure of scores."""
LEAST_BOX, LEAST_VIOLIN = 5, 10
"""Values that quartiles, and a density, can be drawn from; fewer get a line at the median."""


def _grid(count: int, columns: int, height: float):
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(min(WIDTH, 2.3 * columns + 0.2), height * rows), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.ravel()[count:]:
        axis.set_axis_off()
    return figure, axes.ravel()[:count]


def by_group(results: Results, metrics: list[str]) -> Figure | None:
    """Box, points and half violin of every metric by group, with the pairwise P that are small."""
    frame = results["analysed"]
    metrics = [m for m in metrics if m in frame and frame[m].notna().any()]
    if not metrics:
        return None
    figure, axes = _grid(len(metrics), 3, 2.25)
    for axis, metric in zip(axes, metrics, strict=True):
        _raincloud(axis, results, frame, metric)
        _brackets(axis, results, metric)
    return figure


def _raincloud(axis, results: Results, frame: pd.DataFrame, metric: str) -> None:
    rng = np.random.default_rng(0)
    for place, group in enumerate(results.groups):
        values = frame.loc[frame["group"] == group, metric].dropna().to_numpy(float)
        colour = results.colours[group]
        if len(values) >= LEAST_VIOLIN and np.ptp(values) > 0:
            parts = axis.violinplot(values, [place + 0.12], widths=0.6, showextrema=False,
                                    side="high")  # fmt: skip
            for body in parts["bodies"]:
                body.set(facecolor=colour, alpha=0.25, linewidth=0)
        if 0 < len(values) < LEAST_BOX:
            axis.hlines(np.median(values), place - 0.08, place + 0.08, color=colour, linewidth=1.6)
        elif len(values):
            axis.boxplot(
                values, positions=[place], widths=0.16, showfliers=False, patch_artist=True,
                boxprops={"facecolor": "white", "edgecolor": colour},
                medianprops={"color": colour, "linewidth": 1.6},
                whiskerprops={"color": colour}, capprops={"color": colour},
            )  # fmt: skip
        spread = place - 0.22 + rng.uniform(-0.09, 0.09, len(values))
        axis.scatter(spread, values, s=7, color=colour, alpha=0.65, linewidths=0,
                     marker=results.markers[group], rasterized=len(values) > 500)  # fmt: skip
    sizes = [int(frame.loc[frame["group"] == g, metric].notna().sum()) for g in results.groups]
    axis.set_xticks(
        range(len(results.groups)),
        [f"{g}\n{n}" for g, n in zip(results.groups, sizes, strict=True)],
    )
    axis.set_xlim(-0.5, len(results.groups) - 0.35)
    axis.set_ylabel(results.name(metric))
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 5))


def _brackets(axis, results: Results, metric: str) -> None:
    """Lines over pairs of groups whose corrected P is below alpha, shortest first."""
    pairs = results["pairs"]
    rows = pairs[(pairs["metric"] == metric) & (pairs["p_bonferroni"] < results.settings["alpha"])]
    places = {g: k for k, g in enumerate(results.groups)}
    spans = sorted((sorted((places[r.group1], places[r.group2])), r.p_bonferroni)
                   for r in rows.itertuples())  # fmt: skip
    spans.sort(key=lambda s: s[0][1] - s[0][0])
    low, high = axis.get_ylim()
    step = 0.11 * (high - low)
    for level, ((left, right), p) in enumerate(spans):
        y = high + step * (level + 0.15)
        axis.plot([left, left, right, right], [y - 0.2 * step, y, y, y - 0.2 * step],
                  color="#444444", linewidth=0.7)  # fmt: skip
        axis.text((left + right) / 2, y, p_equals(p), ha="center", va="bottom", fontsize=7)
    if spans:
        axis.set_ylim(low, high + step * (len(spans) + 0.6))


def with_scores(results: Results, metrics: list[str]) -> Figure | None:
    """Every metric against every score, with the partial R2 and P (Figures 4 and 5 of the study).

    With ``stats.scatter: residual`` both axes show what the covariates leave.
    """
    frame, table = results["analysed"], results["correlations"]
    scores = results.plan["scores"]
    table = table[(table["group"] == WHOLE) & table["x"].isin(metrics) & table["r"].notna()]
    metrics = [m for m in metrics if m in set(table["x"])]
    if not metrics or not scores:
        return None
    figure, axes = plt.subplots(
        len(metrics), len(scores), figsize=(min(WIDTH, 2.9 * len(scores)), 2.0 * len(metrics)),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for line, metric in zip(axes, metrics, strict=True):
        for axis, score in zip(line, scores, strict=True):
            _scatter(axis, results, frame, metric, score)
            row = table[(table["x"] == metric) & (table["y"] == score)]
            if len(row):
                r = row.iloc[0]
                p = p_equals(r["p"])
                kind = "partial R²" if results.plan["covariates"] else "R²"
                axis.set_title(f"{kind} = {r['r2']:.3f}, {p}, n = {int(r['n'])}")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def _scatter(axis, results: Results, frame, metric: str, score: str) -> None:
    shown = frame[["group", metric, score]].dropna()
    x, y = shown[score], shown[metric]
    left, bottom = results.name(metric), results.name(score)
    if results.settings["scatter"] == "residual":
        x, y, shown = _left_over(results, frame, metric, score)
        left, bottom = f"{left}, residual", f"{bottom}, residual"
    for group in results.groups:
        mine = shown["group"] == group
        axis.scatter(x[mine], y[mine], s=11, color=results.colours[group], alpha=0.7,
                     linewidths=0, marker=results.markers[group], label=group,
                     rasterized=len(x) > 1000)  # fmt: skip
    if len(x) > 2 and np.ptp(x) > 0:
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axis.plot(ends, slope * ends + intercept, color="#222222", linewidth=1)
    axis.set(xlabel=bottom, ylabel=left)


def _left_over(results: Results, frame, metric: str, score: str):
    """What the covariates leave of score and metric, and the subjects; nothing where they leave
    nothing."""
    covariates = [c for c in results.plan["covariates"] if c not in (metric, score)]
    shown = frame.dropna(subset=[metric, score, *covariates])
    try:
        x, y, _, _ = residuals(
            shown, score, metric, covariates, results.plan["categorical"], "pearson"
        )
    except NotComputable:
        shown = shown.iloc[:0]
        x, y = shown[score], shown[metric]
    return pd.Series(x, shown.index), pd.Series(y, shown.index), shown


def agreement(results: Results) -> Figure | None:
    """Agreement of the workflow with the raters' union (the one rater where there is one), every
    rated subject a point, by group (Figure 3 of the study)."""
    if "agreement" not in results.tables:
        return None
    table = results["agreement"]
    table = table[table["result"] == "workflow"]
    references = list(dict.fromkeys(table["reference"]))
    reference = "union" if "union" in references else next(iter(references), None)
    table = table[table["reference"] == reference]
    measures = [m for m in ("dice", "recall", "precision", "object_f1") if m in table]
    if not len(table) or not measures:
        return None
    figure, axes = _grid(len(measures), 4, 2.4)
    groups = [g for g in results.groups if (table["group"] == g).any()] or [None]
    rng = np.random.default_rng(0)
    for axis, measure in zip(axes, measures, strict=True):
        for place, group in enumerate(groups):
            rows = table if group is None else table[table["group"] == group]
            values = rows[measure].dropna().to_numpy(float)
            colour = results.colours.get(group, "#444444")
            spread = place + rng.uniform(-0.15, 0.15, len(values))
            axis.scatter(spread, values, s=14, color=colour, alpha=0.7, linewidths=0,
                         marker=results.markers.get(group, "o"))  # fmt: skip
            if len(values):
                axis.hlines(np.median(values), place - 0.28, place + 0.28, color=colour)
        axis.set_xticks(range(len(groups)), [g or WHOLE for g in groups])
        axis.set(ylim=(-0.02, 1.02), title=AGREEMENT[measure], xlim=(-0.5, len(groups) - 0.5))
    return figure


def roc(results: Results) -> Figure | None:
    """Cross-validated ROC of every pair of groups, with the band of the best set of features."""
    table, auc = results["roc"], results["discrimination"]
    contrasts = list(dict.fromkeys(table["contrast"]))
    if not contrasts:
        return None
    figure, axes = _grid(len(contrasts), 3, 2.9)
    lines = ("-", "--", "-.", ":", (0, (1, 1)))
    for axis, contrast in zip(axes, contrasts, strict=True):
        rows = auc[auc["contrast"] == contrast].set_index("features")
        best = rows["auc"].idxmax()
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.7)
        for k, features in enumerate(rows.index):
            curve = table[(table["contrast"] == contrast) & (table["features"] == features)]
            if features == best:
                axis.fill_between(curve["fpr"], curve["tpr_low"], curve["tpr_high"],
                                  color=SETS[k % len(SETS)], alpha=0.15, linewidth=0)  # fmt: skip
            low, high = rows.loc[features, ["auc_low", "auc_high"]]
            name = f"{features} {rows.loc[features, 'auc']:.2f} ({low:.2f}, {high:.2f})"
            style = {"linestyle": lines[k % len(lines)], "color": SETS[k % len(SETS)]}
            axis.plot(curve["fpr"], curve["tpr"], linewidth=1.3, label=name, **style)
        axis.set(title=contrast, xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False, fontsize=7)
    return figure


def calibration(results: Results) -> Figure | None:
    """Predicted against observed share, per pair of groups."""
    table = results["calibration"]
    contrasts = list(dict.fromkeys(table["contrast"]))
    if not contrasts:
        return None
    figure, axes = _grid(len(contrasts), 3, 2.4)
    for axis, contrast in zip(axes, contrasts, strict=True):
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.7)
        rows = table[table["contrast"] == contrast]
        for k, (features, part) in enumerate(rows.groupby("features", sort=False)):
            style = {"marker": MARKERS[k % len(MARKERS)], "color": SETS[k % len(SETS)]}
            axis.plot(part["predicted"], part["observed"], markersize=4, linewidth=0.9,
                      label=features, **style)  # fmt: skip
        axis.set(title=contrast, xlabel="predicted share", ylabel="observed share",
                 xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")  # fmt: skip
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def correlation_matrix(results: Results) -> Figure | None:
    """Spearman correlation of all metrics and scores over the whole cohort."""
    frame = results["analysed"]
    names = [*results.plan["metrics"], *results.plan["scores"]]
    names = [n for n in names if n in frame and frame[n].nunique() > 1]
    if len(names) < 3 or len(frame) < 4:
        return None
    table = frame[names].corr(method="spearman", min_periods=4)
    size = min(WIDTH, 1.6 + 0.36 * len(names))
    figure, axis = plt.subplots(figsize=(size, 0.86 * size), layout="constrained")
    labels = [results.name(n) for n in names]
    sns.heatmap(
        table.to_numpy(), ax=axis, vmin=-1, vmax=1, cmap="PuOr_r", square=True, linewidths=0.4,
        xticklabels=labels, yticklabels=labels, annot=len(names) <= 18, fmt=".1f",
        annot_kws={"fontsize": 7}, cbar_kws={"label": "Spearman correlation", "shrink": 0.6},
    )  # fmt: skip
    axis.tick_params(length=0)
    plt.setp(axis.get_xticklabels(), rotation=60, ha="right", rotation_mode="anchor")
    return figure


def cohort(results: Results) -> Figure | None:
    """All subjects on one page: every metric and score as a robust z over the cohort."""
    frame = results["analysed"]
    names = [*results.plan["metrics"], *results.plan["scores"]]
    names = [n for n in names if n in frame and frame[n].nunique() > 1]
    if not names or not len(frame):
        return None
    order = pd.Categorical(frame["group"], results.groups, ordered=True)
    shown = frame.assign(group=order).sort_values(["group", names[-1]], kind="stable")
    if len(shown) > MOST_SUBJECTS:
        shown = shown.iloc[np.linspace(0, len(shown) - 1, MOST_SUBJECTS).astype(int)]
    middle = frame[names].median()
    spread = 1.4826 * (frame[names] - middle).abs().median()
    spread = spread.where(spread > 0, frame[names].std())
    z = ((shown[names] - middle) / spread).to_numpy(float)
    figure, axis = plt.subplots(figsize=(WIDTH, 5.2), layout="constrained")
    picture = axis.imshow(np.ma.masked_invalid(z), aspect="auto", cmap="PuOr_r", vmin=-4, vmax=4,
                          interpolation="nearest")  # fmt: skip
    axis.set_facecolor("#dddddd")
    axis.set_xticks(range(len(names)), [results.name(n) for n in names], rotation=60, ha="right",
                    rotation_mode="anchor")  # fmt: skip
    edges = np.cumsum([0, *shown["group"].value_counts().reindex(results.groups).tolist()])
    middles = (edges[:-1] + edges[1:]) / 2 - 0.5
    sizes = frame["group"].value_counts()
    axis.set_yticks(middles, [f"{g}\nn = {sizes.get(g, 0)}" for g in results.groups])
    for edge in edges[1:-1]:
        axis.axhline(edge - 0.5, color="black", linewidth=1)
    axis.tick_params(length=0)
    figure.colorbar(picture, ax=axis, label="robust z over the cohort", shrink=0.6)
    return figure


def sensitivity(results: Results) -> Figure | None:
    """Effect sizes with intervals under every analysis: does the answer hang on a choice?"""
    table = results["sensitivity"]
    table = table[table["effect"].notna() & table["metric"].isin(results.plan["metrics"])]
    if not len(table):
        return None
    names, analyses = (list(dict.fromkeys(table[c])) for c in ("metric", "analysis"))
    figure, axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.36 * len(names)), layout="constrained")
    for k, analysis in enumerate(analyses):
        rows = table[table["analysis"] == analysis].set_index("metric").reindex(names)
        y = np.arange(len(names)) + 0.8 * (k / max(len(analyses) - 1, 1) - 0.5) * 0.85
        axis.errorbar(
            rows["effect"], y,
            # Intervals need not hold the estimate (a noncentral F near 0): no arm below 0.
            xerr=[(rows["effect"] - rows["effect_low"]).clip(lower=0),
                  (rows["effect_high"] - rows["effect"]).clip(lower=0)],
            fmt=MARKERS[k % len(MARKERS)], markersize=3.5, linewidth=0.8, color=SETS[k % len(SETS)],
            label=analysis,
        )  # fmt: skip
    axis.set_yticks(range(len(names)), [results.name(n) for n in names])
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlabel("effect size (partial η² of ANCOVA, ε² of Kruskal-Wallis), 95 % interval")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def draw_all(results: Results) -> dict[str, Figure]:
    """All figures that the data allow, by file name. To be saved with `save`."""
    with plt.rc_context(STYLE):
        drawn = {
            "cohort": cohort(results),
            "groups_alps": by_group(results, results.metrics("alps_")),
            "groups_epvs": by_group(results, results.metrics("epvs_")),
            "groups_other": by_group(results, results.other_metrics),
            "scores_epvs": with_scores(results, results.metrics("epvs_")[:MOST_LINES]),
            "scores_alps": with_scores(results, results.metrics("alps_")),
            "correlations": correlation_matrix(results),
            "roc": roc(results),
            "calibration": calibration(results),
            "agreement": agreement(results),
            "sensitivity": sensitivity(results),
        }
    return {name: figure for name, figure in drawn.items() if figure is not None}


FORMATS = {
    "png": {"dpi": 200},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
"""No dates in the files: the same results give the same bytes."""


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write ``figure`` as PNG, SVG and PDF, with text as text."""
    with plt.rc_context(STYLE):
        for kind, options in FORMATS.items():
            figure.savefig(folder / f"{name}.{kind}", bbox_inches="tight", **options)
    plt.close(figure)
