"""The datasets compared with R: ties, unbalanced groups, missing values, counts, sites, time."""

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def ties() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    group = np.repeat(["A", "B", "C", "D"], [12, 15, 9, 14])
    shift = pd.Series(group).map({"A": 0, "B": 1, "C": 1, "D": 3}).to_numpy()
    frame = pd.DataFrame({"group": group, "value": rng.poisson(4 + shift)})
    frame["age"] = rng.integers(60, 80, len(frame))
    frame["score"] = np.clip(28 - frame["value"] + rng.integers(-3, 4, len(frame)), 0, 30)
    frame["sex"] = rng.choice(["F", "M"], len(frame))
    return frame


def unbalanced() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    group = np.repeat(["AD", "MCI", "NC"], [41, 9, 20])
    n = len(group)
    frame = pd.DataFrame({"group": group, "age": rng.normal(70, 8, n).round(1)})
    frame["sex"] = rng.choice(["F", "M"], n, p=[0.7, 0.3])
    frame["site"] = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    effect = pd.Series(group).map({"AD": -0.25, "MCI": -0.1, "NC": 0.0}).to_numpy()
    frame["value"] = (
        1.6 + effect - 0.008 * (frame["age"] - 70) + 0.05 * (frame["site"] == "b")
        + rng.normal(0, 0.15, n)
    ).round(4)  # fmt: skip
    frame["score"] = (20 + 10 * frame["value"] + rng.normal(0, 3, n)).round(1)
    return frame


def missing() -> pd.DataFrame:
    rng = np.random.default_rng(13)
    frame = unbalanced()
    for name in ("value", "age", "score"):
        frame[name] = frame[name].mask(rng.random(len(frame)) < 0.12)
    frame["sex"] = frame["sex"].mask(rng.random(len(frame)) < 0.08)
    return frame


def counts() -> pd.DataFrame:
    """Numbers that scatter more than a Poisson's, with a group of few, and ages missing."""
    rng = np.random.default_rng(14)
    group = np.repeat(["A", "B", "C"], [40, 12, 30])
    frame = pd.DataFrame({"group": group, "age": rng.normal(70, 8, len(group)).round(1)})
    frame["sex"] = rng.choice(["F", "M"], len(group))
    mean = np.exp(1.5 + 0.02 * (frame["age"] - 70) + 0.4 * (frame["group"] == "C"))
    frame["epvs_total_count"] = rng.poisson(mean * rng.gamma(2, 0.5, len(group)))
    frame["age"] = frame["age"].mask(rng.random(len(group)) < 0.06)
    return frame


def sites() -> pd.DataFrame:
    """Three groups at three sites, which shift and stretch six metrics of unlike scales."""
    rng = np.random.default_rng(16)
    group, site = np.repeat(["A", "B", "C"], [30, 22, 18]), rng.choice(["a", "b", "c"], 70)
    frame = pd.DataFrame({"group": group, "site": site, "age": rng.normal(70, 8, 70).round(1)})
    for k, scale in enumerate((0.1, 1.0, 5.0, 20.0, 300.0, 0.02)):
        shift = frame["site"].map({"a": 0.0, "b": 1.0 + 0.2 * k, "c": -0.5})
        spread = frame["site"].map({"a": 1.0, "b": 1.5, "c": 0.7})
        effect = 0.8 * (frame["group"] == "C") - 0.03 * (frame["age"] - 70)
        frame[f"m{k}"] = scale * (10 + shift + effect + spread * rng.normal(0, 1, 70))
    return frame.round(6)


def sessions() -> pd.DataFrame:
    """Two groups at three sites, one to three sessions at uneven times."""
    rng = np.random.default_rng(15)
    rows = []
    for k in range(48):
        group, site = ("AD", "NC")[k % 2], "abc"[k % 3]
        who = {"participant_id": f"sub-{k:02d}", "group": group, "site": site,
               "age": round(rng.normal(70, 8), 1), "sex": rng.choice(["F", "M"])}  # fmt: skip
        own = 1.5 - 0.15 * (group == "AD") + 0.1 * (site == "b") + rng.normal(0, 0.1)
        years = 0.0
        for _ in range(rng.integers(1, 4)):
            change = (-0.02 - 0.05 * (group == "AD")) * years
            rows.append(who | {"years": round(years, 2),
                               "value": round(own + change + rng.normal(0, 0.04), 4)})  # fmt: skip
            years += rng.uniform(0.6, 1.6)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    for make in (ties, unbalanced, missing, counts, sites, sessions):
        make().to_csv(HERE / f"{make.__name__}.csv", index=False, na_rep="NA")
