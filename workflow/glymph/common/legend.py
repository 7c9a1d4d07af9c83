"""What the labels of the regions mean, and where they lie: ``resources/regions.yaml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml

DEFINITIONS = Path(__file__).parents[3] / "resources" / "regions.yaml"


@lru_cache(maxsize=1)
def definitions() -> dict:
    """Labels and outlines of `resources/regions.yaml`."""
    return yaml.safe_load(DEFINITIONS.read_text(encoding="utf-8"))


def names() -> list[str]:
    """The regions, in the order in which ties are broken."""
    return list(definitions()["regions"])


def outlined() -> dict[str, list[int]]:
    """The regions that have an outline, numbered 1, 2, 3 ... in this order, and all label values
    inside it."""
    regions = definitions()["regions"]
    return {
        name: [
            v for n, r in regions.items() if name in (n, r.get("below")) for v in label_values(n)
        ]
        for name, region in regions.items()
        if "outline" in region
    }


def label_values(region: str) -> list[int]:
    """The label values of both sides of ``region``."""
    return [v for v, entry in definitions()["labels"].items() if entry["region"] == region]


def home(values: np.ndarray) -> tuple[str, str]:
    """Region and side of an object by the label values (whole numbers) of its voxels, not all 0:
    that which holds most of them, on a tie the lowest."""
    counts = np.bincount(values)
    counts[0] = 0
    entry = definitions()["labels"][int(np.argmax(counts))]
    return entry["region"], entry["side"]


def label_table() -> list[dict]:
    """One row per label value: index, name, region and side (BIDS: *_dseg.tsv)."""
    return [
        {"index": v, "name": f"{e['side']} {e['region']}", "region": e["region"], "side": e["side"]}
        for v, e in definitions()["labels"].items()
    ]
