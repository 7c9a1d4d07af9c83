"""Regions seek their tract: on phantoms whose tracts lie elsewhere than in the template."""

import nibabel as nib
import numpy as np
import pytest

from glymph.alps.index import Limits, Space, compute
from glymph.alps.placement import find
from glymph.alps.roi import check_sides, load_rois
from glymph.common.errors import BadInput
from glymph.common.names import HEMISPHERES, TRACTS
from glymph.common.spaces import apply_affine, write_itk_affine
from tests.conftest import STORAGE, grid, rotation

STRAIGHT = np.eye(3)
SIZE, SHAPE = 2.5, (40, 40, 40)
STUDY = load_rois({"rois": "study"})
LIKE = {"projection": (0.55, 0.42, 1.4), "association": (0.6, 1.4, 0.38)}
TRUE = (0.55 + 0.6) / (0.42 + 0.38)
OTHER = np.diag([1.4, 0.5, 0.5]) * 1e-3


def brain(affine, moved=(0, 0, 0), turn=STRAIGHT, rng=None):
    """Maps of tracts 7 mm wide about the regions' centres plus ``moved``; fibres along x between.

    ``turn`` is the head's rotation in the DWI's world, ``rng`` adds noise to the tensors.
    """
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    head = apply_affine(affine, voxels) @ turn
    tensor = np.broadcast_to(OTHER, (*SHAPE, 3, 3)).copy()
    for key, roi in STUDY.items():
        away = np.abs(head - np.array(roi.centre) - moved)
        half = (3.6, 14, 14) if key[1] == "projection" else (3.6, 14, 7)
        tensor[(away < half).all(axis=-1)] = np.diag(LIKE[key[1]]) * 1e-3
    tensor = turn @ tensor @ turn.T
    if rng is not None:
        noise = 0.06e-3 * rng.standard_normal(tensor.shape)
        tensor = tensor + (noise + np.swapaxes(noise, -1, -2)) / 2
    sizes, directions = np.linalg.eigh(tensor)
    md = sizes.mean(axis=-1)
    spread = np.sqrt(1.5 * ((sizes - md[..., None]) ** 2).sum(-1) / (sizes**2).sum(-1))
    return {"tensor": tensor, "v1": directions[..., 2], "fa": spread, "md": md}


def space(affine, tmp_path, turn=STRAIGHT):
    matrix = np.eye(4)
    matrix[:3, :3] = turn.T
    path = str(tmp_path / "to_template.mat")
    write_itk_affine(path, matrix)
    return Space(affine, [(path, False)], [(path, True)], turn.T)


def centred(direction):
    return grid(direction, sizes=(SIZE,) * 3, shape=SHAPE, centre=(0, -12, 24))


@pytest.mark.parametrize("name", STORAGE)
@pytest.mark.parametrize("moved", [(3.0, 0, 0), (-3.0, 0, 4.0)])
def test_regions_follow_their_tract(name, moved, tmp_path):
    affine, turn = centred(STORAGE[name]), rotation(8, 3, -4)
    where = space(affine, tmp_path, turn)
    found = compute(brain(affine, moved, turn), where, STUDY, "template", Limits())
    for (hemisphere, tract), roi in STUDY.items():
        shift = found.shifts[f"{hemisphere}_{tract}"]
        assert shift[0] == pytest.approx(moved[0], abs=1.2), (hemisphere, tract, roi)
        length = found.values[f"alps_{hemisphere}_{tract}_shift"]
        assert length == pytest.approx(np.linalg.norm(shift))
        better = f"alps_{hemisphere}_{tract}_adaptive_score", f"alps_{hemisphere}_{tract}_score"
        assert found.values[better[0]] >= found.values[better[1]] - 1e-6
    assert found.values["alps_adaptive_template_mean"] == pytest.approx(TRUE, abs=0.02)
    as_carried = found.values["alps_template_mean"]
    assert as_carried is None or abs(as_carried - TRUE) > 0.02
    fixed, placed = found.regions["fixed"], found.regions["adaptive"]
    assert fixed.sum() == pytest.approx(placed.sum(), rel=0.05)


def test_both_tracts_of_a_side_keep_one_level(tmp_path):
    found = compute(brain(centred(np.eye(3)), (2, 0, 5)), space(centred(np.eye(3)), tmp_path),
                    STUDY, "template", Limits())  # fmt: skip
    for hemisphere in HEMISPHERES:
        one, other = (found.shifts[f"{hemisphere}_{tract}"][1:] for tract in TRACTS)
        assert one == pytest.approx(other)


def test_a_sound_place_is_kept_and_choosing_does_not_raise_the_mean(tmp_path):
    affine = centred(np.eye(3))
    where, rng = space(affine, tmp_path), np.random.default_rng(0)
    differences = []
    for _ in range(12):
        values = compute(brain(affine, rng=rng), where, STUDY, "template", Limits()).values
        differences.append(values["alps_adaptive_template_mean"] - values["alps_template_mean"])
        assert max(values[f"alps_{h}_{t}_shift"] for h, t in STUDY) < 2.5
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    assert abs(np.mean(differences)) < max(3 * error, 0.005)


def test_nothing_moves_further_than_it_may(tmp_path):
    affine = centred(np.eye(3))
    where, maps = space(affine, tmp_path), brain(affine, (6, 0, 6))
    for reach in (0, 2, 5):
        found = compute(maps, where, STUDY, "template", Limits(angle=90), reach)
        assert all(np.linalg.norm(shift) <= reach + 1e-9 for shift in found.shifts.values())


def test_what_a_person_placed_stays(tmp_path):
    """A shifted region, its partner, and a mask in the DWI; the other side still seeks."""
    affine = centred(np.eye(3))
    where, maps = space(affine, tmp_path), brain(affine, (3, 0, 0))
    shifted = load_rois({"rois": "study"}, {"left_projection": {"shift_mm": [1, 0, 0]}})
    found = compute(maps, where, shifted, "template", Limits())
    assert found.shifts["left_projection"] == found.shifts["left_association"] == (0, 0, 0)
    assert found.shifts["right_projection"][0] > 1
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[
        tuple(np.rint(apply_affine(np.linalg.inv(affine), np.array([-25.0, -12, 24]))).astype(int))
    ] = 1
    path = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(drawn, affine), path)
    masked = load_rois({"rois": "study"}, {"left_projection": {"mask": str(path)}})
    found = compute(maps, where, masked, "template", Limits())
    assert found.shifts["left_projection"] == (0, 0, 0)
    assert found.values["alps_left_projection_score"] is None


def test_the_reported_placement_decides_what_is_given_and_what_stops(tmp_path):
    """Tracts 5 mm away: as carried the regions lie outside, as placed within."""
    affine = centred(np.eye(3))
    where, maps = space(affine, tmp_path), brain(affine, (5, 0, 0))
    strict = Limits(angle=20)
    found = compute(maps, where, STUDY, "template", strict, 6, "adaptive")
    assert found.values["alps_adaptive_template_mean"] == pytest.approx(TRUE, abs=0.03)
    assert found.values["alps_left_projection_dxx"] == pytest.approx(0.55e-3, rel=0.05)


def test_wide_masks_of_users_take_no_memory(tmp_path):
    """A user's template mask of 90 mm: scores by Fourier transform, not by windows."""
    affine = centred(np.eye(3))
    drawn = np.ones((45, 45, 45), np.uint8)
    path = tmp_path / "wide.nii.gz"
    nib.save(nib.Nifti1Image(drawn, grid(np.eye(3), (2.0,) * 3, drawn.shape, (0, -12, 24))), path)
    user = {f"{h}_{t}": {"mask": str(path)} for h in HEMISPHERES for t in TRACTS}
    rois = load_rois({"rois": "user", "user_rois": user})
    pair = {tract: rois["left", tract] for tract in TRACTS}
    axes = {"projection": np.array([0, 0, 1.0]), "association": np.array([0, 1.0, 0])}
    places = find(pair, brain(affine), affine, [], axes, 3)
    assert all(np.isfinite(place.score) for place in places.values())


def test_a_region_that_finds_no_tract_gives_no_adaptive_index(tmp_path):
    """No tract within reach: what FA there is lies across, and the best place is a poor one."""
    affine = centred(np.eye(3))
    where, maps = space(affine, tmp_path), brain(affine, (0, 0, 40))
    found = compute(maps, where, STUDY, "template", Limits(angle=91, fa=0))
    assert found.values["alps_adaptive_template_mean"] is None
    assert "finds no place like its tract (score 0.0" in found.stops[-1].reason
    loose = compute(maps, where, STUDY, "template", Limits(angle=91, fa=0, score=-1))
    assert loose.values["alps_adaptive_template_mean"] is not None


@pytest.mark.parametrize("middle", [0, 90])
def test_masks_of_exchanged_sides_are_refused(tmp_path, middle):
    """In MNI space, and in a template whose midline is at x = 90 mm."""
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = (middle - 60, -60, -40)
    user = {}
    for side, x in (("left", 42), ("right", 18)):  # 24 mm right and left of the middle: exchanged
        data = np.zeros((60, 60, 60), np.uint8)
        data[x - 1 : x + 2, 20:23, 30:33] = 1
        path = tmp_path / f"{side}.nii.gz"
        nib.save(nib.Nifti1Image(data, affine), path)
        user |= {f"{side}_{tract}": {"mask": str(path)} for tract in TRACTS}
    with pytest.raises(BadInput, match="left_projection lies at x = .* exchange them"):
        check_sides(load_rois({"rois": "user", "user_rois": user}))
    names = {"left": "right", "right": "left"}
    right = {f"{names[k.split('_')[0]]}_{k.split('_')[1]}": v for k, v in user.items()}
    check_sides(load_rois({"rois": "user", "user_rois": right}))


@pytest.mark.parametrize("preset", ["study", "gbarisano"])
def test_presets_are_of_their_sides(preset):
    check_sides(load_rois({"rois": preset}))


def test_the_viewer_needs_no_masks():
    """They lie where the run was started, and relative paths start there."""
    user = {f"{h}_{t}": {"mask": "elsewhere.nii.gz"} for h in HEMISPHERES for t in TRACTS}
    assert len(load_rois({"rois": "user", "user_rois": user})) == 4
