"""Several sessions per subject: a mixed model, never sessions as if they were subjects."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLM

from glymph.stats.analysed import Plan, with_sites
from glymph.stats.design import (
    NotComputable,
    check_estimable,
    covariate_design,
    indicators,
)
from glymph.stats.sessions import NUMBER, YEARS

UNITS = {YEARS: "year", NUMBER: "session"}
"""What time is counted in, by its column: years wherever they are known."""


def at_first_age(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with the age of each subject's first session in all its sessions."""
    if "age" not in frame:
        return frame
    ordered = frame.sort_values(NUMBER, kind="stable")
    return frame.assign(age=ordered.groupby("participant_id")["age"].transform("first"))


def mixed_model(frame: pd.DataFrame, metric: str, plan: Plan) -> list[dict]:
    """Change of ``metric`` per year (per session, where years are not known), by group: rows of
    one term each.

    metric ~ covariates + group * time + (1 | subject), by restricted maximum likelihood (Laird and
    Ware 1982, 10.2307/2529876), Wald tests. Age is that of a subject's first session: what passes
    after it is time. What cannot be fitted gives one row with the reason.
    """
    try:
        return _fit(at_first_age(frame), metric, plan)
    except NotComputable as error:
        return [{"metric": metric, "term": "none", "reason": str(error)}]


def _fit(frame: pd.DataFrame, metric: str, plan: Plan) -> list[dict]:
    covariates = plan.beside(metric)
    have = frame.dropna(subset=[metric, *covariates])
    repeated = have["participant_id"].duplicated(keep=False)
    subjects = have.loc[repeated, "participant_id"].nunique()
    if subjects < 2:
        raise NotComputable(f"{subjects} subjects have more than one session with this metric")
    present = [g for g in plan.groups if (have["group"] == g).any()]
    design = covariate_design(have, covariates, plan.categorical)
    column = YEARS if have[YEARS].notna().all() else NUMBER
    if have[column].isna().any():
        raise NotComputable("the order of sessions is not known")
    time, unit = have[column].to_numpy(float), UNITS[column]
    names, columns = [unit], [time]
    if len(present) > 1:
        groups = indicators(have["group"], present)
        check_estimable(design.matrix, groups)
        for k, group in enumerate(present[1:]):
            names += [f"{group} vs {present[0]}", f"{unit} x {group} vs {present[0]}"]
            columns += [groups[:, k], groups[:, k] * time]
    matrix = np.column_stack([design.matrix, *columns])
    y = have[metric].to_numpy(float)
    spread = y.std()
    if not spread > 0:
        raise NotComputable("all values are equal")
    if np.linalg.matrix_rank(matrix) < matrix.shape[1] or len(y) <= matrix.shape[1] + 1:
        raise NotComputable("too few sessions for the terms of the model")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            model = MixedLM(y / spread, matrix, groups=have["participant_id"]).fit(reml=True)
        except (np.linalg.LinAlgError, ValueError) as error:
            raise NotComputable(f"the mixed model does not converge ({error})") from None
    notes = sorted({str(w.message).splitlines()[0] for w in heard})
    first = design.matrix.shape[1]
    limits = np.asarray(model.conf_int())
    sizes = {"n_sessions": len(have), "n_subjects": have["participant_id"].nunique()}
    rows = []
    for k, name in enumerate(names, first):
        p = float(np.asarray(model.pvalues)[k])
        estimate = float(np.asarray(model.fe_params)[k]) * spread
        low, high = (limits[k] * spread).tolist()
        row = {"metric": metric, "term": name, "estimate": estimate, "low": low, "high": high}
        row |= {"z": float(np.asarray(model.tvalues)[k]), "p": p}
        rows.append(row | sizes | {"note": "; ".join(notes) or None})
    rows += _in_groups(model, names, first, unit, present, spread, {"metric": metric} | sizes)
    if len(present) > 1:
        which = [first + names.index(n) for n in names if n.startswith(f"{unit} x")]
        wald = model.wald_test(np.eye(len(model.params))[which], scalar=True)
        row = {"metric": metric, "term": f"{unit} x group", "statistic": float(wald.statistic)}
        rows.append(row | {"p": float(wald.pvalue)} | sizes)
    return rows


def _in_groups(model, names, first, unit, present, spread, about) -> list[dict]:
    """The change over time within every group but the first, whose change is the time itself."""
    rows = []
    for group in present[1:]:
        at = np.zeros(len(model.fe_params))
        at[[first, first + names.index(f"{unit} x {group} vs {present[0]}")]] = 1
        found = model.t_test(at[None])
        low, high = np.squeeze(found.conf_int()) * spread
        rows.append(about | {
            "term": f"{unit} in {group}", "estimate": float(np.squeeze(found.effect)) * spread,
            "low": low, "high": high, "z": float(np.squeeze(found.tvalue)),
            "p": float(np.squeeze(found.pvalue))})  # fmt: skip
    return rows


def mixed_models(
    everything: pd.DataFrame, plan: Plan, problem: str = "", site: str = "none"
) -> list[dict]:
    """`mixed_model` of every metric as measured, of several sites by `with_sites`; none where
    ``problem`` says why sessions have no order."""
    plan = with_sites(plan, everything, site)
    if problem:
        return [{"metric": m, "term": "none", "reason": problem} for m in plan.metrics]
    return [row for metric in plan.metrics for row in mixed_model(everything, metric, plan)]
