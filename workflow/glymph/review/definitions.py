"""What is rated, and what a rejection means: ``resources/review.yaml``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

DEFINITIONS = Path(__file__).resolve().parents[3] / "resources" / "review.yaml"


@cache
def definitions() -> dict:
    return yaml.safe_load(DEFINITIONS.read_text(encoding="utf-8"))


def columns(table: str) -> list[str]:
    """Columns of a table of this stage, in order."""
    return list(definitions()["tables"][table])


def described(table: str) -> dict:
    """Description of every column, as BIDS wants it beside a table."""
    return {name: {"Description": text} for name, text in definitions()["tables"][table].items()}
