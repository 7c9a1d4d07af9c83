"""What the report is made from: the tables of the group folder, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from glymph.common.registry import Metric, metrics
from glymph.common.sidecars import read_json

STATS = (
    "analysed", "left_out", "demographics", "demographics_tests", "comparison", "pairs", "groups",
    "correlations", "alps_beyond_ratio", "alps_epvs", "discrimination", "roc", "calibration",
    "auc_differences", "markers", "marker_differences", "regression", "moderation",
    "simple_slopes", "mediation", "counts", "sensitivity", "longitudinal",
)  # fmt: skip
PALETTE = ("#004488", "#ddaa33", "#bb5566", "#000000", "#88ccee", "#44aa99", "#aaaaaa")
"""Told apart by the colour-blind and, by lightness, in grey (the first three: Paul Tol's high
contrast)."""
MARKERS = "osD^vPX"
AGREEMENT = {
    "dice": "Dice",
    "recall": "recall",
    "precision": "precision",
    "object_recall": "object recall",
    "object_precision": "object precision",
    "object_f1": "object F1",
    "volume_difference_mm3": "volume difference, mm³",
    "count_difference": "difference of number",
    "reference_outside": "outside",
}
"""Measures of agreement with raters that a reader sees, as people write them."""
SETS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Of feature sets and analyses."""


@dataclass(frozen=True)
class Results:
    """``tables`` by name (`STATS`, "rating_agreement" and, where raters drew masks, "agreement" and
    "agreement_summary"), ``plan`` and ``notes`` of who is analysed, ``settings`` of the
    statistics."""

    tables: dict[str, pd.DataFrame]
    plan: dict
    notes: list[str]
    settings: dict

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name]

    @property
    def groups(self) -> list[str]:
        return self.plan["groups"]

    @property
    def colours(self) -> dict[str, str]:
        chosen = self.settings["colours"]
        return {g: chosen.get(g, PALETTE[k % len(PALETTE)]) for k, g in enumerate(self.groups)}

    @property
    def markers(self) -> dict[str, str]:
        return {g: MARKERS[k % len(MARKERS)] for k, g in enumerate(self.groups)}

    def metrics(self, prefix: str) -> list[str]:
        """The analysed metrics whose names begin with ``prefix``."""
        return [m for m in self.plan["metrics"] if m.startswith(prefix)]

    def name(self, column: str) -> str:
        """A column in as few words as tell it from the other analysed metrics."""
        short = short_label(column)
        twins = [m for m in self.plan["metrics"] if m != column and short_label(m) == short]
        return label(column) if twins else short

    @property
    def other_metrics(self) -> list[str]:
        """Analysed metrics that are neither ALPS nor perivascular spaces."""
        return [m for m in self.plan["metrics"] if not m.startswith(("alps_", "epvs_"))]


def load_results(folder: str | Path, settings: dict, agreement: list[str]) -> Results:
    """The tables of ``folder`` (group/stats), and those of ``agreement`` (paths)."""
    folder = Path(folder)
    paths = {name: folder / f"{name}.tsv" for name in STATS}
    paths |= {Path(path).stem: Path(path) for path in agreement}
    decided = read_json(folder / "decisions.json")
    tables = {name: in_shown_units(name, _read(path)) for name, path in paths.items()}
    return Results(tables, decided["plan"], decided["notes"], settings)


VALUES = {
    "groups": ("metric", "mean", "sd", "sem", "median", "q1", "q3", "minimum", "maximum",
               "adjusted_mean", "adjusted_se"),
    "demographics": ("variable", "mean", "sd", "sem", "median", "q1", "q3", "minimum", "maximum"),
    "markers": ("metric", "cut"),
    "longitudinal": ("metric", "estimate", "low", "high"),
}  # fmt: skip
"""Of the tables with values in the unit of a metric: the column that names it, and those values."""


def in_shown_units(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table ``name`` with all values of metrics in the units that readers want (registry)."""
    table = table.copy()
    if name == "analysed":
        for column in (c for c in table if c in metrics()):
            table[column] = table[column] * metrics()[column].factor
    if name in VALUES:
        who, *values = VALUES[name]
        factors = [metrics()[m].factor if m in metrics() else 1.0 for m in table[who]]
        have = [column for column in values if column in table]
        table[have] = table[have].mul(np.array(factors, float), axis=0)
    return table


TEXT = ("participant_id", "session_id", "group", "group1", "group2", "level", "model", "features",
        "result", "reference", "features1", "features2", "x", "y", "moderator",
        "mediator")  # fmt: skip
"""Columns that stay text even where all their entries look like numbers."""


def _read(path: Path) -> pd.DataFrame:
    names = dict.fromkeys(TEXT, str)
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False, dtype=names)


SHORT = {
    "mmse": "MMSE", "moca": "MoCA", "age": "Age, years", "education": "Education, years",
    "sex": "Sex", "site": "Site",
}  # fmt: skip


def label(name: str) -> str:
    """A column in words, with its unit: the registry's, the study's scores, or the name itself."""
    if name in SHORT:
        return SHORT[name]
    metric = metrics().get(name)
    if metric is None:
        return name.replace("_", " ")
    unit = _unit(metric)
    return metric.label if unit in ("1", "count") else f"{metric.label}, {unit}"


def _unit(metric: Metric) -> str:
    """The unit in which readers see a metric."""
    return metric.shown_unit or metric.unit.replace("mm3", "mm³").replace("mm2", "mm²")


def short_label(name: str) -> str:
    """A column in few words, for axes."""
    if name in SHORT:
        return SHORT[name].split(",")[0]
    parts = name.split("_")
    if parts[0] == "alps" and "l2_l3" not in name and parts[-1] in ("left", "right", "mean"):
        return f"ALPS {parts[-1]}"
    if parts[0] == "epvs" and len(parts) > 2 and parts[1] != "part":
        place = {"total": "EPVS", "bg": "BG-EPVS", "cso": "CSO-EPVS", "midbrain": "midbrain EPVS",
                 "dwm": "DWM-EPVS"}  # fmt: skip
        side = f" {parts.pop(2)}" if parts[2] in ("left", "right") else ""
        what = {"volume": "volume, mm³", "count": "number", "length": "length, mm",
                "width": "width, mm"}  # fmt: skip
        if parts[2] == "fraction":
            unit = f", {_unit(metrics()[name])}" if name in metrics() else ""
            return f"{place.get(parts[1], parts[1])}{side} / {parts[3]} volume{unit}"
        return f"{place.get(parts[1], parts[1])}{side} {what.get(parts[2], parts[2])}"
    return label(name)


def p_text(p: float | None) -> str:
    """P to three digits; "< 0.001" (with a space that does not break) below, "n/a" without one."""
    if p is None or p != p:
        return "n/a"
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float) -> str:
    """P with its sign, for a sentence: "P = 0.012", "P < 0.001"."""
    shown = p_text(p)
    return f"P {shown}" if shown.startswith("<") else f"P = {shown}"


def number(value: float | None, digits: int = 3) -> str:
    """A number for readers: ``digits`` significant ones, no exponent where it can be avoided."""
    if value is None or value != value:
        return "n/a"
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    if abs(float(text)) >= 10**digits:  # as rounded: 999.6 is 1,000
        return f"{value:,.0f}"
    return f"{value:.2e}" if "e" in text else text


def within(row: pd.Series, name: str, digits: int = 2) -> str:
    """A number of a row with its 95 % interval, so many ``digits`` after the point. The ends are in
    ``<name>_low`` and ``<name>_high``, or ``low`` and ``high`` of a row with one interval."""
    start = f"{name}_" if f"{name}_low" in row else ""
    low, high = (fixed(row[f"{start}{end}"], digits) for end in ("low", "high"))
    return f"{fixed(row[name], digits)} ({low}, {high})"


def fixed(value: float, digits: int = 2) -> str:
    """A number with so many ``digits`` after the point, and no minus sign where they are zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"
