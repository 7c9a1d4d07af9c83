"""Heads, tissues and planted EPVS agree with their own truth."""

import dataclasses

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from glymph.simulate import LIGHT_SCAN, SubjectSpec, ideal
from glymph.simulate.anatomy import make_anatomy

CLEAN = ideal(LIGHT_SCAN)


def tissue_means(image, labels):
    data = np.asarray(image.dataobj, float)
    core = {k: ndimage.binary_erosion(labels == k) for k in (1, 2, 3)}
    return [np.median(data[core[k]]) for k in (1, 2, 3)]


def test_t1w_intensities_rise_from_csf_to_white_matter(subject):
    csf, gm, wm = tissue_means(subject.image("anat", "T1w"), subject.mask("tissue_dseg"))
    assert csf < 0.6 * gm
    assert gm < 0.85 * wm


def test_t2w_intensities_fall_from_csf_to_white_matter(make):
    anatomical = dataclasses.replace(CLEAN, modalities=("T1w", "T2w"))
    moved = make(scan=anatomical).image("anat", "T2w")
    still = make(scan=dataclasses.replace(anatomical, between_scans=0.0))
    csf, gm, wm = tissue_means(still.image("anat", "T2w"), still.mask("tissue_dseg"))
    assert csf > 1.5 * gm > 1.5 * wm
    same = np.asarray(moved.dataobj) == np.asarray(still.image("anat", "T2w").dataobj)
    assert same.mean() < 0.8


def test_head_is_larger_than_the_brain_and_inside_the_image(subject):
    data = np.asarray(subject.image("anat", "T1w").dataobj, float)
    brain = subject.mask("brain_mask") > 0
    scalp = data > 600
    assert (scalp & ~brain).sum() > 0.15 * brain.sum()
    for axis in range(3):
        sides = np.moveaxis(brain, axis, 0)
        assert not sides[0].any()
        assert not sides[-1].any()


def test_deformation_can_be_inverted():
    anatomy = make_anatomy(SubjectSpec("x", 11, deformation_mm=2.5, atrophy=1.0, scan=LIGHT_SCAN))
    rng = np.random.default_rng(0)
    mni = rng.uniform([-65, -100, -45], [65, 70, 75], (500, 3))
    head = anatomy.from_mni(mni)
    np.testing.assert_allclose(anatomy.to_mni(head), mni, atol=1e-3)
    moved = head / anatomy.scale - mni
    assert 1.0 < moved.std() < 4.0


def test_atrophy_takes_grey_matter_and_gives_csf(make):
    young, old = (
        make(atrophy=a, scan=dataclasses.replace(CLEAN, modalities=())).row for a in (0.0, 1.0)
    )
    assert old["gm_volume_mm3"] < 0.97 * young["gm_volume_mm3"]
    assert old["csf_volume_mm3"] > 1.1 * young["csf_volume_mm3"]
    assert 0.9e6 < young["brain_volume_mm3"] < 1.6e6


def test_roi_places_lie_in_the_white_matter_of_the_t1w_image(subject):
    affine = subject.image("anat", "T1w").affine
    labels = subject.mask("tissue_dseg")
    for roi in subject.table("rois").itertuples():
        index = np.linalg.inv(affine) @ [roi.t1w_x, roi.t1w_y, roi.t1w_z, 1]
        assert labels[tuple(np.round(index[:3]).astype(int))] == 3


def test_epvs_mask_counts_what_the_table_lists(subject):
    table, mask = subject.table("epvs"), subject.mask("EPVS_mask")
    count = ndimage.label(mask, np.ones((3, 3, 3)))[1]
    assert count == len(table) == subject.row["epvs_count_total"]
    objects = subject.mask("EPVS_dseg")
    np.testing.assert_array_equal(objects > 0, mask > 0)
    np.testing.assert_array_equal(np.bincount(objects.ravel())[1:], table["mask_voxels"])
    for region in ("CSO", "BG", "midbrain"):
        assert (table["region"] == region).sum() == subject.row[f"epvs_count_{region.lower()}"]


def test_epvs_have_the_volume_of_their_tubes(subject):
    table = subject.table("epvs")
    radius, run = table["width_mm"] / 2, table["length_mm"] - table["width_mm"]
    tube = np.pi * radius**2 * run + 4 / 3 * np.pi * radius**3
    np.testing.assert_allclose(table["volume_mm3"], tube, rtol=0.08)
    share = subject.mask("EPVS_probseg")
    assert share.sum() * 1.5**3 == pytest.approx(table["volume_mm3"].sum(), rel=0.02)
    assert table["width_mm"].between(0.5, 3).all()
    assert table["length_mm"].between(3, 17).all()


def test_epvs_lie_where_the_table_says_and_look_like_csf(subject):
    affine = subject.image("anat", "T1w").affine
    objects, regions = subject.mask("EPVS_dseg"), subject.mask("region_dseg")
    data = np.asarray(subject.image("anat", "T1w").dataobj, float)
    for row in subject.table("epvs").itertuples():
        middle = np.linalg.inv(affine) @ [row.t1w_x, row.t1w_y, row.t1w_z, 1]
        assert objects[tuple(np.round(middle[:3]).astype(int))] == row.object
        inside = objects == row.object
        label = {"CSO": 1, "BG": 2, "midbrain": 3}[row.region]
        assert (regions[inside] == label).mean() > 0.5
    full = subject.mask("EPVS_probseg") > 0.8
    around = ndimage.binary_dilation(full, iterations=3) & (subject.mask("EPVS_probseg") == 0)
    assert np.median(data[full]) < 0.6 * np.median(data[around])


def test_raters_disagree_but_not_much(subject):
    truth = subject.mask("EPVS_mask") > 0
    root = subject.bids.parents[1] / "derivatives"
    masks = []
    for rater in ("one", "two"):
        path = root / rater / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_label-EPVS_mask.nii.gz"
        masks.append(np.asarray(nib.load(path).dataobj) > 0)
    pairs = [(truth, masks[0]), (truth, masks[1]), (masks[0], masks[1])]
    for a, b in pairs:
        assert 0.4 < 2 * (a & b).sum() / (a.sum() + b.sum()) < 0.98
