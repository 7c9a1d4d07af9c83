"""A cohort as a table, without images: group means and deviations equal to the study's.

    python -m glymph.simulate.table OUT.tsv [--times 1] [--seed 1] [--null]

``--times`` multiplies the 145 subjects; ``--null`` draws all groups from the first one's
distribution, whose means and deviations then hold in expectation only.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from scipy.stats import norm

GROUPS = {"AD": 89, "AMCI": 24, "NC": 32}
MALES = {"AD": 40, "AMCI": 12, "NC": 12}
MEAN_SD = {
    "age": {"AD": (68.75, 9.292), "AMCI": (67.25, 9.317), "NC": (65.41, 7.551)},
    "education": {"AD": (7.83, 4.36), "AMCI": (8.25, 4.173), "NC": (8.72, 2.543)},
    "mmse": {"AD": (17.27, 5.67), "AMCI": (25.92, 0.974), "NC": (28.59, 0.798)},
    "moca": {"AD": (13.38, 6.173), "AMCI": (20.88, 3.982), "NC": (27.28, 1.42)},
    "brain_volume_mm3": {"AD": (1.02e6, 1e5), "AMCI": (1.06e6, 1e5), "NC": (1.1e6, 1e5)},
}
TURNS = 200
BOUNDS = {"education": (0, 40), "mmse": (0, 30), "moca": (0, 30)}
"""What a value can be."""
MEAN_SEM = {
    "left": {"AD": (1.312, 0.016), "AMCI": (1.429, 0.047), "NC": (1.576, 0.031)},
    "right": {"AD": (1.303, 0.018), "AMCI": (1.472, 0.043), "NC": (1.565, 0.031)},
    "mean": {"AD": (1.308, 0.015), "AMCI": (1.450, 0.040), "NC": (1.570, 0.027)},
}
"""ALPS; the study prints standard errors (section 3 of the specification)."""
QUARTILES = {
    "epvs_total_volume_mm3": {"AD": (282.4, 457.5, 735.4), "AMCI": (192.6, 330.9, 512.4),
                              "NC": (222.3, 320.6, 473.7)},
    "epvs_total_count": {"AD": (11, 19, 29), "AMCI": (8.5, 14, 20.5), "NC": (10, 12, 17.5)},
    "epvs_bg_per_mille": {"AD": (0.149, 0.236, 0.311), "AMCI": (0.110, 0.184, 0.232),
                          "NC": (0.134, 0.172, 0.240)},
}  # fmt: skip
"""First quartile, median, third quartile. The study's BG fraction is plausible per mille of the
brain only."""


def draw(times: int = 1, seed: int = 1, null: bool = False) -> pd.DataFrame:
    """The cohort, one row per subject. With ``null`` all groups come from one distribution."""
    rng = np.random.default_rng(seed)
    sizes = {g: n * times for g, n in GROUPS.items()}
    if null:
        together = _group(rng, "AD", sum(sizes.values()))
        labels = np.repeat(list(sizes), list(sizes.values()))
        return together.assign(group=rng.permutation(labels))
    return pd.concat([_group(rng, g, n) for g, n in sizes.items()], ignore_index=True)


def _group(rng, group: str, n: int) -> pd.DataFrame:
    shared = rng.standard_normal(n)
    frame = pd.DataFrame({"participant_id": [f"sub-{group}{k + 1:05d}" for k in range(n)]})
    frame["session_id"], frame["group"] = "n/a", group
    sex = np.where(np.arange(n) < n * MALES[group] // GROUPS[group], "M", "F")
    frame["sex"] = rng.permutation(sex)
    for name, values in MEAN_SD.items():
        mean, sd = values[group]
        mixed = 0.4 * shared + rng.standard_normal(n) if name in ("mmse", "moca") else None
        z = rng.standard_normal(n) if mixed is None else mixed
        frame[name] = exactly(z, mean, sd, *BOUNDS.get(name, ()))
    for side, values in MEAN_SEM.items():
        mean, sem = values[group]
        z = shared + 0.5 * rng.standard_normal(n)
        frame[f"alps_native_{side}"] = exactly(z, mean, sem * np.sqrt(GROUPS[group]))
    for name, values in QUARTILES.items():
        frame[name] = by_quartiles(rng.standard_normal(n) - 0.3 * shared, *values[group])
    frame["epvs_total_count"] = frame["epvs_total_count"].round()
    frame["epvs_bg_fraction_brain"] = frame.pop("epvs_bg_per_mille") / 1000
    frame["epvs_bg_volume_mm3"] = frame["epvs_bg_fraction_brain"] * frame["brain_volume_mm3"]
    frame["epvs_cso_volume_mm3"] = 0.4 * frame["epvs_total_volume_mm3"]
    frame["epvs_total_fraction_brain"] = frame["epvs_total_volume_mm3"] / frame["brain_volume_mm3"]
    return frame


def exactly(
    z: np.ndarray, mean: float, sd: float, low: float = -np.inf, high: float = np.inf
) -> np.ndarray:
    """``z`` shifted and scaled to this mean and standard deviation (n - 1), between ``low`` and
    ``high``: cut off and scaled by turns until both hold."""
    for _ in range(TURNS):
        z = np.clip(mean + sd * (z - z.mean()) / z.std(ddof=1), low, high)
    return z


def by_quartiles(z: np.ndarray, q1: float, median: float, q3: float) -> np.ndarray:
    """Positive values with these quartiles, from the normal order of ``z``: log-normal with its own
    width on either side of the median."""
    order = np.argsort(np.argsort(z)) + 0.5
    score = norm.ppf(order / len(z)) / norm.ppf(0.75)
    below, above = np.log(median / q1), np.log(q3 / median)
    return median * np.exp(np.where(score < 0, below, above) * score)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--null", action="store_true")
    options = parser.parse_args()
    frame = draw(options.times, options.seed, options.null)
    frame.to_csv(options.out, sep="\t", index=False, float_format="%.10g")
    print(f"{len(frame)} subjects in {options.out}")


if __name__ == "__main__":
    main()
