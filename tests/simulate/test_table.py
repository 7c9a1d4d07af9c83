"""The cohort as a table has the study's numbers, and no impossible ones."""

import numpy as np
import pytest

from glymph.simulate import table


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", table.MEAN_SD)
def test_means_and_deviations_are_the_study_s_and_values_are_possible(name, times):
    drawn = table.draw(times)
    low, high = table.BOUNDS.get(name, (0, np.inf))
    assert drawn[name].between(low, high).all()
    for group, (mean, sd) in table.MEAN_SD[name].items():
        values = drawn.loc[drawn["group"] == group, name]
        assert len(values) == times * table.GROUPS[group]
        assert values.mean() == pytest.approx(mean, rel=1e-6)
        assert values.std(ddof=1) == pytest.approx(sd, rel=1e-6)
