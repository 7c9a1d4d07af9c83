"""Do the groups differ in a metric? ANCOVA or Kruskal-Wallis, by one stated rule.

The rule (``stats.test: auto``): ANCOVA with the configured covariates where its residuals are
normal by Shapiro-Wilk (P at least alpha), otherwise Kruskal-Wallis. Levene's test stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from glymph.stats import effects, power
from glymph.stats.analysed import Plan
from glymph.stats.design import (
    Design,
    NotComputable,
    check_estimable,
    covariate_design,
    fit,
    indicators,
)
from glymph.stats.ranks import dunn, kruskal

SHAPIRO_MOST = 5000
"""Beyond this many values scipy's P is an extrapolation."""


@dataclass(frozen=True)
class Ancova:
    """``design`` of the covariates, ``full`` the fitted model whose columns are the covariates'
    and then one indicator per group but the first."""

    design: Design
    full: object
    f: float
    df1: int
    df2: int
    p: float
    slopes: tuple[float, float] | None


def compare(frame: pd.DataFrame, metric: str, plan: Plan, settings: dict) -> dict[str, list[dict]]:
    """Tables of one metric: ``tests`` (one row), ``pairs`` and ``groups`` (one row each).

    Subjects without a value, and for ANCOVA without a covariate, are left out of the test and
    counted as missing. What cannot be computed gives a row with the reason.
    """
    have = frame[frame[metric].notna()]
    row = {"metric": metric, "n": len(have), "missing": len(frame) - len(have)}
    groups = [describe(have.loc[have["group"] == g, metric], metric, g, frame) for g in plan.groups]
    present = [g for g in plan.groups if (have["group"] == g).any()]
    if len(present) < 2:
        row |= {"test": "none", "reason": "fewer than two groups have values"}
        return {"tests": [row], "pairs": [], "groups": groups}
    values = [have.loc[have["group"] == g, metric].to_numpy(float) for g in present]
    row |= _one_way(values)
    try:
        h, df, p = kruskal(values)
        row |= {"kruskal_h": h, "kruskal_df": df, "kruskal_p": p}
    except NotComputable as error:
        row |= {"test": "none", "reason": str(error)}
        return {"tests": [row], "pairs": [], "groups": groups}
    model, why_not = None, None
    try:
        model = ancova(have, metric, present, plan)
        row |= _ancova_row(model, have, present)
        groups = _with_adjusted_means(groups, model, present)
    except NotComputable as error:
        why_not = str(error)
    test, reason = choose(row, why_not, settings)
    row |= {"test": test, "reason": reason}
    if test == "ANCOVA":
        complete = have.dropna(subset=plan.beside(metric))
        values = [complete.loc[complete["group"] == g, metric].to_numpy(float) for g in present]
        row |= {"n": len(complete), "missing": len(frame) - len(complete)}
        row |= {"statistic": model.f, "df1": model.df1, "df2": model.df2, "p": model.p}
        names = ("effect", "effect_low", "effect_high")
        row |= dict(zip(names, effects.partial_eta2(model.f, model.df1, model.df2), strict=True))
        row["effect_name"] = "partial eta2"
        pairs = _contrasts(model, present, settings["equivalence"])
    else:
        row |= {"statistic": h, "df1": df, "p": p, "effect_name": "epsilon2"}
        names = ("effect", "effect_low", "effect_high")
        row |= dict(zip(names, effects.epsilon2(values, h, settings["seed"]), strict=True))
        pairs = _rank_pairs(values, present)
    pairs = [{"metric": metric, "test": test} | p for p in _bonferroni(pairs)]
    pairs = _with_power(_with_effects(pairs, values, present), settings["alpha"])
    return {"tests": [row], "pairs": pairs, "groups": groups}


def describe(values: pd.Series, metric: str, group: str, frame: pd.DataFrame) -> dict:
    """n, missing, mean, SD, SEM, median and quartiles of a metric in a group."""
    x = values.to_numpy(float)
    found = {"metric": metric, "group": group, "n": len(x)}
    found["missing"] = int((frame["group"] == group).sum()) - len(x)
    if len(x):
        q1, median, q3 = np.percentile(x, (25, 50, 75))
        found |= {"mean": x.mean(), "median": median, "q1": q1, "q3": q3}
        found |= {"minimum": x.min(), "maximum": x.max()}
    if len(x) > 1:
        found |= {"sd": x.std(ddof=1), "sem": x.std(ddof=1) / np.sqrt(len(x))}
    found["shapiro_p"] = shapiro(x)
    return found


def shapiro(x: np.ndarray) -> float | None:
    """P of Shapiro-Wilk; None for fewer than three values or a constant."""
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    if len(x) > SHAPIRO_MOST:
        x = np.random.default_rng(0).permutation(x)[:SHAPIRO_MOST]
    return float(stats.shapiro(x).pvalue)


def levene(values: list[np.ndarray]) -> float | None:
    """P of Levene's test about medians; None where fewer than two groups vary."""
    values = [v for v in values if len(v) > 1]
    if len(values) < 2 or all(np.ptp(v) == 0 for v in values):
        return None
    p = float(stats.levene(*values, center="median").pvalue)
    return p if np.isfinite(p) else None


def _one_way(values: list[np.ndarray]) -> dict:
    """One-way ANOVA without covariates: the F that the study printed."""
    k, n = len(values), sum(map(len, values))
    if n <= k or all(np.ptp(v) == 0 for v in values):
        return {}
    result = stats.f_oneway(*values)
    return {"anova_f": float(result.statistic), "anova_df1": k - 1, "anova_df2": n - k,
            "anova_p": float(result.pvalue)}  # fmt: skip


def ancova(have: pd.DataFrame, metric: str, present: list[str], plan: Plan) -> Ancova:
    """ANCOVA of ``metric`` over the groups ``present`` with type II sums of squares.

    Without interactions type II asks what the groups explain beyond the covariates. Subjects
    without a covariate are left out. Raises `NotComputable`.
    """
    covariates = plan.beside(metric)
    complete = have.dropna(subset=covariates)
    sizes = [int((complete["group"] == g).sum()) for g in present]
    if min(sizes) < 1:
        empty = present[int(np.argmin(sizes))]
        raise NotComputable(f"no subject of group {empty} has all covariates")
    design = covariate_design(complete, covariates, plan.categorical)
    groups = indicators(complete["group"], present)
    check_estimable(design.matrix, groups)
    y = complete[metric].to_numpy(float)
    full = fit(y, np.column_stack([design.matrix, groups]))
    if full.ssr <= 1e-20 * max(1.0, float((y**2).sum())):
        raise NotComputable("the model leaves no residuals")
    f, p, df1 = full.compare_f_test(fit(y, design.matrix))
    return Ancova(design, full, float(f), int(df1), int(full.df_resid), float(p),
                  _slopes(y, design, groups, full))  # fmt: skip


def _slopes(y, design: Design, groups: np.ndarray, full) -> tuple[float, float] | None:
    """(F, P) of group by covariate interactions, all numbers together: homogeneity of slopes."""
    products = [groups[:, g] * design.matrix[:, c]
                for g in range(groups.shape[1]) for c in design.numeric]  # fmt: skip
    if not products:
        return None
    matrix = np.column_stack([full.model.exog, *products])
    if np.linalg.matrix_rank(matrix) < matrix.shape[1] or len(y) <= matrix.shape[1]:
        return None
    f, p, _ = fit(y, matrix).compare_f_test(full)
    return float(f), float(p)


def _ancova_row(model: Ancova, have: pd.DataFrame, present: list[str]) -> dict:
    residuals = np.asarray(model.full.resid)
    groups = model.full.model.exog[:, -(len(present) - 1) :]
    number = np.where(groups.any(axis=1), groups.argmax(axis=1) + 1, 0)
    row = {
        "ancova_n": len(residuals), "ancova_f": model.f, "ancova_df1": model.df1,
        "ancova_df2": model.df2, "ancova_p": model.p,
        "shapiro_residuals_p": shapiro(residuals),
        "levene_p": levene([residuals[number == g] for g in range(len(present))]),
        "note": "; ".join(model.design.notes) or None,
    }  # fmt: skip
    if model.slopes:
        row |= {"slopes_f": model.slopes[0], "slopes_p": model.slopes[1]}
    return row


def choose(row: dict, why_not: str | None, settings: dict) -> tuple[str, str]:
    """(test, reason) by ``settings["test"]``: ancova, kruskal, or auto (the rule)."""
    wanted = settings["test"]
    if why_not:
        return "Kruskal-Wallis", f"no ANCOVA: {why_not}"
    if wanted != "auto":
        return {"ancova": "ANCOVA", "kruskal": "Kruskal-Wallis"}[wanted], "set by stats.test"
    p = row["shapiro_residuals_p"]
    if p is None:
        return "Kruskal-Wallis", "normality of the residuals cannot be tested"
    if p < settings["alpha"]:
        return "Kruskal-Wallis", f"residuals not normal (Shapiro-Wilk P = {p:.2g})"
    return "ANCOVA", f"residuals normal (Shapiro-Wilk P = {p:.2g})"


def _vector(model: Ancova, group: int) -> np.ndarray:
    """Coefficients of the adjusted mean of group number ``group``."""
    indicator = np.zeros(len(model.full.params) - len(model.design.average))
    if group:
        indicator[group - 1] = 1
    return np.concatenate([model.design.average, indicator])


def _with_adjusted_means(groups: list[dict], model: Ancova, present: list[str]) -> list[dict]:
    adjusted = {}
    for number, group in enumerate(present):
        result = model.full.t_test(_vector(model, number))
        adjusted[group] = {"adjusted_mean": float(np.squeeze(result.effect)),
                           "adjusted_se": float(np.squeeze(result.sd))}  # fmt: skip
    return [row | adjusted.get(row["group"], {}) for row in groups]


def _contrasts(model: Ancova, present: list[str], equivalence: float) -> list[dict]:
    """Differences of adjusted means, and whether they lie within ``equivalence`` residual standard
    deviations."""
    bound = equivalence * float(np.sqrt(model.full.mse_resid))
    rows = []
    for a, b in combinations(range(len(present)), 2):
        result = model.full.t_test(_vector(model, a) - _vector(model, b))
        low, high = np.squeeze(result.conf_int())
        rows.append({
            "group1": present[a], "group2": present[b],
            "difference": float(np.squeeze(result.effect)),
            "difference_low": float(low), "difference_high": float(high),
            "statistic": float(np.squeeze(result.tvalue)), "df": float(model.df2),
            "p": float(np.squeeze(result.pvalue)),
            "equivalence_p": power.equivalence(
                float(np.squeeze(result.effect)), float(np.squeeze(result.sd)), model.df2, bound),
        })  # fmt: skip
    return rows


def _rank_pairs(values: list[np.ndarray], present: list[str]) -> list[dict]:
    return [
        {"group1": present[a], "group2": present[b], "statistic": z, "p": p,
         "difference": float(np.median(values[a]) - np.median(values[b]))}
        for (a, b), (z, p) in dunn(values).items()
    ]  # fmt: skip


def _bonferroni(pairs: list[dict]) -> list[dict]:
    return [row | {"p_bonferroni": min(1.0, row["p"] * len(pairs))} for row in pairs]


def _with_effects(pairs: list[dict], values: list[np.ndarray], present: list[str]) -> list[dict]:
    """Hedges g and Cliff's delta of the raw values beside every comparison."""
    by_group = dict(zip(present, values, strict=True))
    for row in pairs:
        first, second = by_group[row["group1"]], by_group[row["group2"]]
        row["n1"], row["n2"] = len(first), len(second)
        for name, found in (
            ("hedges_g", effects.hedges_g(first, second)),
            ("cliffs_delta", effects.cliffs_delta(first, second)),
        ):
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))
    return pairs


def _with_power(pairs: list[dict], alpha: float) -> list[dict]:
    """The difference that these numbers of subjects would show, at the corrected level."""
    return [
        row | {"detectable_g": power.detectable(row["n1"], row["n2"], alpha / len(pairs))}
        for row in pairs
    ]


def compare_all(frame: pd.DataFrame, plan: Plan, settings: dict) -> dict[str, list[dict]]:
    """`compare` for every metric, with the false-discovery rate over all of them; metrics that
    the table lacks get a row that says so."""
    found: dict[str, list[dict]] = {"tests": [], "pairs": [], "groups": []}
    for metric in plan.metrics:
        for name, rows in compare(frame, metric, plan, settings).items():
            found[name] += rows
        print(f"compared {metric}", flush=True)
    add_fdr(found["tests"])
    for metric in (m for m in settings["metrics"] if m in plan.absent):
        found["tests"].append({"metric": metric, "test": "none", "reason": "not in the table"})
    return found


def add_fdr(rows: list[dict], name: str = "p") -> None:
    """Add ``p_fdr`` (Benjamini and Hochberg 1995, 10.1111/j.2517-6161.1995.tb02031.x) over all
    rows that have a P."""
    tested = [row for row in rows if row.get(name) is not None and np.isfinite(row[name])]
    if tested:
        adjusted = multipletests([row[name] for row in tested], method="fdr_bh")[1]
        for row, p in zip(tested, adjusted, strict=True):
            row["p_fdr"] = float(p)
