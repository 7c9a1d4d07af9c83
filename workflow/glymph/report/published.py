"""A published study's values beside those of the cohort, for orientation."""

from __future__ import annotations

from functools import cache
from math import sqrt
from pathlib import Path

import yaml

from glymph.common.registry import metrics
from glymph.report.results import Results, number
from glymph.report.tables import Table, of_group

DEFINITIONS = Path(__file__).resolve().parents[3] / "resources" / "published.yaml"


@cache
def published() -> dict:
    return yaml.safe_load(DEFINITIONS.read_text(encoding="utf-8"))


def beside(results: Results) -> Table | None:
    """Metrics that the study has too, as it prints them: mean ± standard deviation, or median
    (quartiles). None where there are none."""
    study, described = published(), results["groups"]
    rows = []
    for name, printed in study["values"].items():
        mine = described[described["metric"] == name]
        if not len(mine):
            continue
        means = "mean_sem" in printed
        own = [of_group(mine, group, means) for group in results.groups]
        rows.append([results.name(name), *own, *_study(name, printed, study["groups"])])
    if not rows:
        return None
    head = ["", *results.groups, *(f"study: {g} (n = {n})" for g, n in study["groups"].items())]
    note = (
        f"{study['study']}. Another scanner, another protocol, other people: a different mean is "
        f"no error, one of another size asks for a look. {study['notes']}"
    )
    return Table("published", "Beside a published study", head, rows, note, folded=True)


def _study(name: str, printed: dict, sizes: dict[str, int]) -> list[str]:
    factor = metrics()[name].factor
    if "mean_sem" in printed:
        return [
            f"{number(factor * mean)} ± {number(factor * sem * sqrt(n))}"
            for (mean, sem), n in zip(printed["mean_sem"], sizes.values(), strict=True)
        ]
    return [
        "{} ({}, {})".format(*(number(factor * value) for value in values))
        for values in printed["quartiles"]
    ]
