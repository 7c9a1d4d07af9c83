"""What is worth a look: values that are missing, implausible, or far from the cohort's."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

import numpy as np

from glymph.common.registry import Metric, metrics

FLAG_COLUMNS = ["participant_id", "session_id", "metric", "value", "kind", "z", "message", "look"]
MAD_TO_SD = 1.4826
"""The standard deviation of normal data over their median absolute deviation."""
FEWEST = 20
"""Subject-sessions with a value, below which a cohort has no outliers: the MAD of a few has no
spread worth the name. Of nine simulated people without a fault six lay beyond 3.5."""


def flags(values: dict[str, float | None], thresholds: dict | None = None) -> list[dict]:
    """One entry per value outside its plausible range or missing, in the registry's order.

    ``thresholds`` of the configuration: name or pattern of metrics -> [low, high], which replaces
    the registry's range; of several that fit the last counts.
    """
    found = []
    for name, metric in metrics().items():
        if name not in values:
            continue
        value, (low, high) = values[name], plausible(metric, thresholds or {})
        if value is None:
            if not metric.may_be_missing:
                found.append(_flag(metric, None, "missing", f"{metric.label} has no value"))
        elif (low is not None and value < low) or (high is not None and value > high):
            text = f"{_worded(metric, value)}, plausible is {_span(low, high)}"
            found.append(_flag(metric, value, "range", text))
    return found


def plausible(metric: Metric, thresholds: dict) -> tuple[float | None, float | None]:
    """The range outside which a value of ``metric`` is flagged; None for open ends."""
    fitting = [
        limits for pattern, limits in thresholds.items() if fnmatchcase(metric.name, pattern)
    ]
    return tuple(fitting[-1]) if fitting else metric.plausible


def robust_z(values: list[float | None]) -> list[float | None]:
    """Distance of each value from the median in robust standard deviations.

    0.6745 (x - median) / MAD; Iglewicz and Hoaglin 1993 (How to Detect and Handle Outliers). None
    for what is missing, and for all where there are fewer than `FEWEST` values or no spread.
    """
    numbers = np.array([math.nan if v is None else v for v in values], float)
    known = numbers[np.isfinite(numbers)]
    if len(known) < FEWEST:
        return [None] * len(values)
    median = np.median(known)
    spread = MAD_TO_SD * np.median(np.abs(known - median))
    if spread <= 1e-9 * max(abs(median), 1e-300):
        return [None] * len(values)
    return [float((x - median) / spread) if math.isfinite(x) else None for x in numbers]


def outliers(records: list[dict], limit: float) -> list[list[dict]]:
    """Per record the flags of values whose robust z is beyond ``limit``.

    Only metrics that the registry marks with ``outlier`` are looked at, and only on the side that
    it names (low, high, both). Every record counts once, whatever its group.
    """
    found: list[list[dict]] = [[] for _ in records]
    for name, metric in metrics().items():
        if not metric.outlier:
            continue
        values = [record["values"].get(name) for record in records]
        for own, value, z in zip(found, values, robust_z(values), strict=True):
            if z is None or abs(z) <= limit or metric.outlier == ("low" if z > 0 else "high"):
                continue
            text = f"{_worded(metric, value)}, {abs(z):.1f} robust standard deviations "
            text += "above the cohort's median" if z > 0 else "below the cohort's median"
            own.append(_flag(metric, value, "outlier", text, z))
    return found


def flag_rows(records: list[dict], limit: float) -> list[dict]:
    """Rows of group/flags.tsv: every record's own flags and its outliers."""
    rows = []
    for record, far in zip(records, outliers(records, limit), strict=True):
        identity = {key: record[key] for key in ("participant_id", "session_id")}
        rows += [identity | {"z": None} | flag for flag in [*record["flags"], *far]]
    return rows


def _flag(metric: Metric, value: float | None, kind: str, message: str, z=None) -> dict:
    found = {"metric": metric.name, "value": value, "kind": kind, "message": message}
    found["look"] = metric.look
    return found if z is None else found | {"z": z}


def _worded(metric: Metric, value: float) -> str:
    unit = "" if metric.unit == "1" else metric.unit
    return f"{metric.label} is {_text(value)} {unit}".rstrip()


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {_text(high)}"
    return f"at least {_text(low)}" if high is None else f"{_text(low)} to {_text(high)}"


def _text(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"
