"""Who takes part: entries of the configuration match people, or are refused."""

import copy
from pathlib import Path

import pytest
import yaml

from glymph.inputs.config import ConfigError, check_config
from glymph.inputs.people import NobodyError, Row, left_out

ROWS = [Row.of(f"sub-{name}") for name in ("01", "02", "AD10")]
ROWS += [Row.of("sub-03", "ses-a"), Row.of("sub-03", "ses-2")]
ALL = {row.name for row in ROWS}
DEFAULTS = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text())


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ([], ALL), (["01"], {"sub-01"}), (["sub-01"], {"sub-01"}), ([1], {"sub-01"}),
        (["1", "sub-2"], {"sub-01", "sub-02"}), (["AD10"], {"sub-AD10"}),
        (["~01"], ALL - {"sub-01"}), (["~sub-01", "~2"], ALL - {"sub-01", "sub-02"}),
        (["03"], {"sub-03_ses-a", "sub-03_ses-2"}), (["sub-03_ses-a"], {"sub-03_ses-a"}),
        (["03_ses-02"], {"sub-03_ses-2"}), (["03", "~03_ses-a"], {"sub-03_ses-2"}),
    ],
)  # fmt: skip
def test_who_is_asked_for(labels, kept):
    assert ALL - set(left_out(ROWS, labels, [])) == kept


def test_exclude_stands_beside_it_and_the_reason_is_said():
    found = left_out(ROWS, ["01", "02", "~02"], ["sub-03_ses-a"])
    assert found == {
        "sub-02": "listed under participant_label",
        "sub-AD10": "not listed under participant_label",
        "sub-03_ses-a": "listed under exclude",
        "sub-03_ses-2": "not listed under participant_label",
    }


@pytest.mark.parametrize(
    ("labels", "exclude", "message"),
    [
        (["xyz"], [], r"participant_label: nobody is called 'xyz'; there are sub-01, sub-02"),
        (["04"], [], r"nobody is called '04'; did you mean sub-03 or sub-02 or sub-01"),
        (["~AD1"], [], "participant_label: nobody is called 'AD1'; did you mean sub-AD10"),
        ([], ["sub-AD01"], "exclude: nobody is called 'sub-AD01'; did you mean sub-AD10"),
        ([], ["sub-03_ses-b"], "nobody is called 'sub-03_ses-b'; did you mean sub-03_ses-a"),
        (["ad10"], [], "nobody is called 'ad10'"), (["*"], [], "nobody is called"),
        ([""], [], "nobody is called ''"),
    ],
)  # fmt: skip
def test_an_entry_that_names_nobody_is_refused(labels, exclude, message):
    with pytest.raises(NobodyError, match=message):
        left_out(ROWS, labels, exclude)


def test_a_number_that_may_be_two_people_is_refused():
    rows = [Row.of("sub-01"), Row.of("sub-001")]
    assert set(left_out(rows, ["01"], [])) == {"sub-001"}
    with pytest.raises(NobodyError, match="'1' may be sub-001 or sub-01"):
        left_out(rows, [1], [])


@pytest.mark.parametrize("entry", [None, [], {}, "a/b", 1.5, True])
def test_what_is_no_label_is_refused_by_the_schema(entry):
    config = copy.deepcopy(DEFAULTS) | {"participant_label": [entry]}
    with pytest.raises(ConfigError, match="participant_label.0"):
        check_config(config)
