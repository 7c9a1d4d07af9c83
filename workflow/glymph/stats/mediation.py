"""Mediation: how much of what one variable has to do with another goes through a third.

A decomposition of regressions, not a proof of cause: in one visit the order of things is assumed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from glymph.stats.analysed import Plan
from glymph.stats.design import NotComputable, covariate_design, fit
from glymph.stats.regression import check_told_apart, standardised

RESAMPLES = 5000
BATCH = 500


def mediate(frame: pd.DataFrame, plan: Plan, settings: dict) -> list[dict]:
    """A row for each path of every triple of ``settings["mediation"]``, in standard deviations.

    a: the first on the mediator; b: the mediator on the last given the first; total and direct: the
    first on the last without and with the mediator; indirect: a times b. All models hold the
    covariates. The first four have the intervals and P of least squares; indirect has percentile
    intervals of a bootstrap of subjects, and the P that belongs to them (Preacher and Hayes 2008,
    10.3758/BRM.40.3.879).
    """
    rows = []
    for triple in settings["mediation"]:
        x, mediator, y = (triple[key] for key in ("from", "through", "to"))
        about = {"x": x, "mediator": mediator, "y": y}
        absent = [name for name in (x, mediator, y) if name not in frame]
        try:
            if absent:
                raise NotComputable(f"the table has no {' or '.join(absent)}")
            words = [name for name in (x, mediator, y) if name in plan.categorical]
            if words:
                raise NotComputable(f"{words[0]} is a category, and numbers are needed")
            found = _paths(frame, plan, (x, mediator, y), settings["seed"])
        except NotComputable as error:
            rows.append(about | {"reason": str(error)})
        else:
            rows += [about | row for row in found]
    return rows


def _paths(frame: pd.DataFrame, plan: Plan, names: tuple[str, str, str], seed: int) -> list[dict]:
    covariates = plan.beside(*names)
    part = frame.dropna(subset=[*names, *covariates])
    x, m, y = (standardised(part[name]) for name in names)
    terms = covariate_design(part, covariates, plan.categorical).matrix
    check_told_apart(x, terms)
    with_x = np.column_stack([terms, x])
    check_told_apart(m, with_x)
    with_both = np.column_stack([with_x, m])
    on_mediator, total, both = fit(m, with_x), fit(y, with_x), fit(y, with_both)
    places = {"a": (on_mediator, -1), "b": (both, -1), "total": (total, -1), "direct": (both, -2)}
    rows = []
    for path, (model, place) in places.items():
        low, high = model.conf_int()[place]
        rows.append({"path": path, "n": len(part), "beta": model.params[place], "beta_low": low,
                     "beta_high": high, "p": model.pvalues[place]})  # fmt: skip
    drawn = bootstrap(with_x, m, y, seed)
    low, high = np.quantile(drawn, [0.025, 0.975])
    beyond = min((drawn <= 0).sum(), (drawn >= 0).sum())
    rows.append({"path": "indirect", "n": len(part), "beta": rows[0]["beta"] * rows[1]["beta"],
                 "beta_low": low, "beta_high": high,
                 "p": min(1.0, 2 * (1 + beyond) / (1 + len(drawn)))})  # fmt: skip
    return rows


def bootstrap(with_x: np.ndarray, m: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Indirect effects (`RESAMPLES`,) in resamples of the subjects.

    ``with_x`` (n, k): intercept, covariates and last the first variable; ``m`` and ``y`` (n,).
    A resample is a count of every subject, so that all are solved as weighted normal equations.
    """
    rng = np.random.default_rng(seed)
    n, k = with_x.shape
    everything = np.column_stack([with_x, m, y])
    products = np.einsum("ni,nj->nij", everything, everything).reshape(n, -1)
    drawn = []
    for _ in range(RESAMPLES // BATCH):
        counts = rng.multinomial(n, np.full(n, 1 / n), size=BATCH)
        sums = (counts @ products).reshape(BATCH, k + 2, k + 2)
        # The minimum-norm solution, as a resample may lack a whole category.
        a = _solve(sums[:, :k, :k], sums[:, :k, k])[:, -1]
        b = _solve(sums[:, : k + 1, : k + 1], sums[:, : k + 1, k + 1])[:, -1]
        drawn.append(a * b)
    return np.concatenate(drawn)


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (np.linalg.pinv(matrix, rcond=1e-10, hermitian=True) @ right[..., None])[..., 0]
