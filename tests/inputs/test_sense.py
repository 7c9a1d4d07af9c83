"""Values of the right type that cannot be meant stop the start."""

import copy

import pandas as pd
import pytest
import yaml

from glymph.inputs.config import ConfigError, check_config
from glymph.inputs.sense import SETS_OF_OURS
from glymph.stats.analysed import Plan
from glymph.stats.discrimination import all_sets
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


OWN = {
    "left_projection": {"centre": [-26, -14, 25], "diameter_mm": 5},
    "left_association": {"centre": [-38, -14, 25], "diameter_mm": 5},
    "right_projection": {"mask": "right.nii.gz"},
    "right_association": {"mask": "rightmost.nii.gz"},
}


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alps__user_rois": {"left_projection": {"mask": "x.nii.gz"}}},
         "alps.user_rois: set and not used, because alps.rois is study"),
        ({"epvs__epvs_mask": "{prefix}.nii.gz"}, "epvs.epvs_mask: .* epvs.engine is vbnet"),
        ({"epvs__region_labels": "{prefix}.nii.gz"}, "epvs.region_labels: .*regions is atlas"),
        ({"epvs__command": "sh x {output}"}, "epvs.command: .* epvs.engine is vbnet"),
        ({"epvs__model": "m", "epvs__engine": "frangi"}, "epvs.model: .* epvs.engine is frangi"),
        ({"epvs__regions_model": "m", "epvs__compare_regions": False}, "epvs.regions_model: "),
        ({"anat__brain_model": "m", "anat__brain": "bet"}, "anat.brain_model: .*brain is bet"),
        ({"participants__table": "t.tsv", "metrics_table": "m.tsv"}, "participants.table: "),
    ],
)  # fmt: skip
def test_a_key_that_another_one_makes_void(changes, message):
    refused(message, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"alps__rois": "user", "alps__user_rois": OWN},
        {"epvs__engine": "provided", "epvs__epvs_mask": "{prefix}.nii.gz"},
        {"epvs__regions": "provided", "epvs__region_labels": "{prefix}.nii.gz"},
        {"epvs__engine": "command", "epvs__command": "sh x {output}"},
        {"epvs__regions_model": "m", "anat__brain_model": "m"},  # they check the default engines
        {"epvs__engine": "none"},
        {
            "epvs__engine": "none",
            "epvs__command": "x {output}",
            "epvs__lesion_mask": "{prefix}.nii",
        },
        {"path_table": "t.tsv"},
        {"metrics_table": "m.tsv"},
        {"path_table": "t.tsv", "epvs__raters": None},
    ],
)
def test_a_key_that_is_used(changes):
    check_config(configured(**changes))


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        ({"anat__brain_mask": "{prefix}.nii.gz"}, "anat.brain_mask: .* give it column brain_mask"),
        ({"epvs__lesion_mask": "{prefix}.nii.gz"}, "give it column lesion_mask"),
        ({"epvs__raters": "d/{rater}/{prefix}.nii.gz"}, "epvs.raters: .* columns rater_NAME"),
        ({"inputs__filters": {"T1w": {"run": 1}}}, "inputs.filters: .* one file of each kind"),
        ({"inputs__several": "last"}, "inputs.several: "),
        ({"bids_validator": True}, "bids_validator: "),
    ],
)
def test_what_finds_files_in_a_bids_folder_does_not_apply_to_a_path_table(changes, cure):
    refused(cure, path_table="t.tsv", **changes)


def test_every_void_key_is_named_at_once():
    text = refused("2 error", epvs__epvs_mask="{prefix}.nii", epvs__command="sh x {output}")
    assert "epvs.command" in text and "epvs.epvs_mask" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (None, "alps.user_rois: lacks left_projection"),
        ({"right_association": None}, "alps.user_rois: lacks right_association"),
        ({"left_projection": {"centre": [24, -14, 25], "diameter_mm": 5}},
         "left_projection: x = 24 lies on the other side"),
        ({"right_projection": {"centre": [-24, -14, 25], "diameter_mm": 5}},
         "right_projection: x = -24 lies on the other side"),
        ({"left_projection": {"centre": [0, -14, 25], "diameter_mm": 5}}, "x = 0 lies on"),
        ({"right_projection": {"centre": [0, -14, 25], "diameter_mm": 5}}, "x = 0 lies on"),
    ],
)  # fmt: skip
def test_regions_of_alps_of_ones_own(changes, message):
    given = changes and {k: v for k, v in (OWN | changes).items() if v}
    refused(message, alps__rois="user", alps__user_rois=given)


def test_regions_in_a_template_whose_midline_is_elsewhere():
    template = {"t1w": "t.nii.gz", "gm": "g.nii.gz", "wm": "w.nii.gz"}
    left, right = ({"centre": [x, 90, 80], "diameter_mm": 5} for x in (60, 120))
    given = OWN | {"left_projection": left, "right_projection": right}
    check_config(configured(template=template, alps__rois="user", alps__user_rois=given))
    swapped = OWN | {"left_projection": right, "right_projection": left}
    refused(r"left_projection: x = 120 is not left of right_projection \(60\)", template=template,
            alps__rois="user", alps__user_rois=swapped)  # fmt: skip


@pytest.mark.parametrize("name", SETS_OF_OURS)
def test_a_set_of_features_called_as_one_of_ours(name):
    refused(f"stats.features.{name}: ", stats__features={"ALPS": ["a"], name: ["b"]})


@pytest.mark.parametrize("sets", [["A", "B"], ["A", "B", "C"]])
def test_the_statistics_add_no_other_sets(sets):
    frame = pd.DataFrame({name: [1.0] for name in sets})
    plan = Plan([], [], [], ["age"], [], sets={name: [name] for name in sets})
    assert set(all_sets(frame, plan)) - set(sets) < set(SETS_OF_OURS)


@pytest.mark.parametrize(
    ("colours", "message"),
    [
        ({"AD": "blu"}, "stats.colours.AD: 'blu' is no colour; did you mean 'blue'"),
        ({"AD": "#12345"}, "stats.colours.AD: '#12345' is no colour"),
        ({"AD": "12"}, "'12' is no colour; write a name of matplotlib or #rrggbb"),
        ({1: "red"}, "stats.colours.1: groups are words; write it in quotes"),
    ],
)
def test_a_colour_that_is_none(colours, message):
    refused(message, stats__colours=colours)


def test_colours_that_figures_can_be_drawn_in():
    check_config(configured(stats__colours={"AD": "tab:blue", "NC": "#0a0B0c", "MCI": "0.5"}))
