"""Settings and cohorts for the statistics."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from glymph.inputs.people import Row, left_out
from glymph.stats.analysed import IDENTITY, opened, select, settle

SETTINGS = {
    "groups": [], "metrics": ["alps_native_mean", "epvs_total_volume_mm3", "epvs_cso_volume_mm3"],
    "scores": ["mmse", "moca"], "covariates": ["age", "sex", "education"], "categorical": ["sex"],
    "test": "auto", "correlation": "pearson", "alpha": 0.05, "equivalence": 0.5,
    "session": "first", "sessions": [],
    "site": "none",
    "features": {"ALPS": ["alps_native_mean"], "EPVS": ["epvs_total_volume_mm3"]},
    "moderators": ["group", "sex", "education"],
    "mediation": [
        {"from": "epvs_total_volume_mm3", "through": "alps_native_mean", "to": "mmse"}
    ], "folds": 5,
    "repeats": 2, "permutations": 9, "regularisation": 1.0, "scatter": "raw", "colours": {},
    "seed": 1,
}  # fmt: skip


def draw(sizes, seed=0, shift=0.1):
    """A cohort's table of groups of these ``sizes`` (name: n), ALPS falling by ``shift`` each."""
    rng = np.random.default_rng(seed)
    rows = []
    for place, (group, n) in enumerate(sizes.items()):
        for k in range(n):
            alps = rng.normal(1.5 - shift * place, 0.15)
            rows.append({
                "participant_id": f"sub-{group}{k:03d}", "session_id": None, "group": group,
                "age": rng.normal(68, 8), "sex": rng.choice(["F", "M"]),
                "education": int(rng.integers(3, 17)), "mmse": round(15 + 6 * alps + rng.normal()),
                "moca": int(rng.integers(10, 31)), "alps_native_mean": alps,
                "alps_template_mean": alps + rng.normal(0, 0.02),
                "epvs_total_volume_mm3": rng.lognormal(6, 0.6), "epvs_cso_volume_mm3": 0.0,
            })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def make(tmp_path):
    """Function from a table (and settings to change) to (cohort, settings), through the file."""

    def through_file(frame, exclude=(), columns=None, ranges=None, **changes):
        path = tmp_path / "metrics.tsv"
        frame.to_csv(path, sep="\t", index=False, na_rep="n/a")
        table, settings, notes = opened(path, columns or {}, SETTINGS | changes, ranges or {})
        rows = [Row.of(*one) for one in table[IDENTITY].itertuples(index=False)]
        out = left_out(rows, [], exclude)
        cohort = select(table, settle(table, settings, []), settings, out)
        return replace(cohort, notes=notes + cohort.notes), settings

    return through_file
