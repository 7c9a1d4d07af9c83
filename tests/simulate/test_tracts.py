"""Curved tracts: exact at their centre; beside it a region out of place reads another index."""

import numpy as np
import pytest

from glymph.simulate import __main__ as command_line
from glymph.simulate import tracts
from glymph.simulate.spec import SubjectSpec
from glymph.simulate.subject import simulate_subject

TRUE = {"left": 1.3, "right": 1.6}
STEP = 2


def of(kind, seed=3):
    spec = SubjectSpec("01", seed, alps_left=TRUE["left"], alps_right=TRUE["right"], tracts=kind)
    return tracts.of_subject(spec)


def moved(found, millimetres):
    """The tracts' centres, moved outwards, to the front and up."""
    outwards = {side: np.array([sign, 1, 1]) for side, sign in tracts.SIDES.items()}
    return {
        key: np.array(centre) + np.array(millimetres) * outwards[key[1]]
        for key, centre in found.centres.items()
    }


@pytest.mark.parametrize("kind", ["uniform", "curved"])
def test_the_truth_is_that_of_the_tract_s_centre(kind):
    found = of(kind)
    at_centre = tracts.region_alps(found, found.centres, STEP)
    assert at_centre == pytest.approx(TRUE, abs=0.005)


@pytest.mark.parametrize(
    ("millimetres", "least"), [((-6, 0, 0), 0.1), ((6, 0, 0), 0.1), ((0, 0, 6), 0.2)]
)
def test_only_in_curved_tracts_a_region_out_of_place_reads_another_index(millimetres, least):
    for kind, wrong in (("uniform", False), ("curved", True)):
        found = of(kind)
        read = tracts.region_alps(found, moved(found, millimetres), STEP)
        for side, true in TRUE.items():
            if wrong:
                assert abs(read[side] - true) > least
            elif millimetres[0] == 0:
                assert read[side] == pytest.approx(true, abs=0.005)


def test_fibres_fan_outwards_and_are_mirrored():
    """Upwards in the projection the fibres lean away from the midline, on both sides alike."""
    found = of("curved")
    leaning = {}
    for side, sign in tracts.SIDES.items():
        place = found.centres["projection", side] + np.array([3.0 * sign, 0, 0])
        xx, xy, xz, yy, yz, zz = found.put_into(np.zeros((1, 6)), place[None])[0]
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        fibre = np.linalg.eigh(tensor)[1][:, 2]
        fibre = fibre * np.sign(fibre[2])
        leaning[side] = np.degrees(np.arctan2(sign * fibre[0], fibre[2]))
    assert leaning["left"] == pytest.approx(7.5, abs=0.5)
    assert leaning["right"] == pytest.approx(7.5, abs=0.5)


def test_tracts_lie_elsewhere_in_every_subject_and_stay_in_every_session():
    one, again, other = of("curved"), of("curved"), of("curved", seed=4)
    for key, centre in one.centres.items():
        np.testing.assert_array_equal(centre, again.centres[key])
        away = np.linalg.norm(centre - np.array(tracts.ROI_CENTRES[key]))
        assert 0 < away < 7
        assert np.linalg.norm(centre - other.centres[key]) > 0.01


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="uniform, curved"):
        SubjectSpec("01", 1, tracts="square")


def test_the_truth_tables_tell_where_tracts_and_regions_lie(tmp_path):
    """Both places, and the index at each, are written even for a subject without a DWI."""
    import dataclasses

    import pandas as pd

    from glymph.simulate.spec import LIGHT_SCAN

    scan = dataclasses.replace(LIGHT_SCAN, modalities=("T1w",))
    spec = SubjectSpec("01", 5, tracts="curved", scan=scan)
    row = simulate_subject(spec, tmp_path / "bids", tmp_path / "truth")
    assert row["alps_tract_left"] == pytest.approx(1.5, abs=0.01)
    assert row["alps_region_left"] != row["alps_tract_left"]
    table = pd.read_csv(tmp_path / "truth" / "sub-01" / "sub-01_rois.tsv", sep="\t")
    centres = tracts.of_subject(spec).centres
    for found in table.itertuples():
        centre = centres[found.tract, found.side]
        assert (found.tract_mni_x, found.tract_mni_z) == pytest.approx(
            (centre[0], centre[2]), abs=1e-3
        )


@pytest.mark.parametrize(
    ("options", "kind"),
    [([], "curved"), (["--light"], "uniform"), (["--light", "--tracts", "curved"], "curved")],
)
def test_the_command_line_draws_tracts_as_in_heads(monkeypatch, tmp_path, options, kind):
    drawn = []
    monkeypatch.setattr(command_line, "simulate_cohort", lambda spec, *_: drawn.append(spec))
    assert command_line.main([str(tmp_path / "bids"), str(tmp_path / "truth"), *options]) == 0
    assert drawn[0].tracts == kind
