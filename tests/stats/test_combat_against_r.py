"""The same harmonised values as R's sva::ComBat: see reference/make_combat.R."""

from pathlib import Path

import numpy as np
import pandas as pd

from glymph.stats.analysed import Plan
from glymph.stats.harmonise import combat

FOLDER = Path(__file__).parent / "reference"


def test_harmonised_values_are_those_of_sva():
    frame, expected = pd.read_csv(FOLDER / "sites.csv"), pd.read_csv(FOLDER / "combat.csv")
    groups = sorted(frame["group"].unique())
    frame["group"] = pd.Categorical(frame["group"], groups, ordered=True)
    metrics = list(expected)
    found, _ = combat(frame, Plan(groups, metrics, [], ["age", "site"], ["site"]))
    scale = frame[metrics].std()
    assert np.max(np.abs(found[metrics] - frame[metrics]) / scale) > 0.5
    distance = (found[metrics] - expected) / scale
    assert np.abs(distance).to_numpy().max() < 1e-6
