"""Values of the right type that cannot be meant stop the start."""

import copy

import pytest
import yaml

from glymph.inputs.config import ConfigError, check_config
from tests.conftest import ROOT

DEFAULTS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def configured(**changes):
    """The defaults with ``stage__key=value``."""
    config = copy.deepcopy(DEFAULTS)
    for place, value in changes.items():
        *above, key = place.split("__")
        inner = config
        for name in above:
            inner = inner[name]
        inner[key] = value
    return config


def refused(message, **changes):
    with pytest.raises(ConfigError, match=message) as error:
        check_config(configured(**changes))
    return str(error.value)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"alps_*_covrage": [0.8, 1]}, r"qc.thresholds.alps_\*_covrage: fits no metric"),
        ({"dwi_snrr": [1, None]}, "dwi_snrr: fits no metric; did you mean 'dwi_snr'"),
        ({"alps_*_coverage": [1, 0.8]}, r"\[1, 0.8\] holds no value; write the lower one first"),
    ],
)
def test_a_threshold_of_nothing(thresholds, message):
    refused(message, qc__thresholds=thresholds)


def test_thresholds_that_fit():
    ranges = {"alps_*_coverage": [0.8, 1], "dwi_snr": [None, 3], "epvs_*": [0, 0]}
    check_config(configured(qc__thresholds=ranges))


def test_a_range_of_people_that_holds_nobody():
    refused(
        r"participants.ranges.age: \[100, 18\] holds no", participants__ranges={"age": [100, 18]}
    )
    check_config(configured(participants__ranges={"age": [18, 18]}))
