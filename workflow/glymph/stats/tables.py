"""Result tables: columns from ``resources/statistics.yaml``, a JSON description beside each."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import yaml

from glymph.common.registry import metrics
from glymph.common.sidecars import write_json
from glymph.common.tables import write_tsv

DEFINITIONS = Path(__file__).resolve().parents[3] / "resources" / "statistics.yaml"


@cache
def definitions() -> dict:
    return yaml.safe_load(DEFINITIONS.read_text(encoding="utf-8"))


def write(name: str, rows: list[dict], path: str | Path, stamp: dict) -> None:
    """Write table ``name`` and, beside it, the JSON that describes it and how it was made.

    Raises KeyError for a column that the definitions do not know.
    """
    table, columns = definitions()["tables"][name], definitions()["columns"]
    if table.get("open"):
        names = list(rows[0]) if rows else []
        described = {n: _described(n) for n in names}
    else:
        names = table["columns"]
        described = {n: {"Description": columns[n]} for n in names}
        unknown = {key for row in rows for key in row} - set(names)
        if unknown:
            raise KeyError(f"table {name}: not in {DEFINITIONS.name}: {sorted(unknown)}")
    write_tsv([{k: _plain(v) for k, v in row.items()} for row in rows], path, names)
    about = {"Description": table["title"], "Columns": described}
    write_json(about | stamp, Path(path).with_suffix(".json"))


def _described(name: str) -> dict:
    """Description of a column of the analysed table: a metric's, or that of the participants."""
    if name in metrics():
        return metrics()[name].sidecar()
    return {"Description": definitions()["columns"].get(name, f"{name} of the metrics table.")}


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is None or value != value else value
