"""A small output folder of the workflow: subjects with four perivascular spaces each."""

from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.alps.roi import load_rois
from glymph.common.images import save
from glymph.common.names import Unit, region_names
from glymph.common.sidecars import write_json
from glymph.common.spaces import apply_affine, write_itk_affine, write_itk_field
from glymph.common.tables import read_tsv, write_tsv
from glymph.epvs import census
from glymph.review.page import page_data, render
from tests.conftest import STORAGE, grid

SHAPE = (40, 48, 40)
TUBES = {1: (10, 12, 8), 2: (28, 12, 6), 3: (12, 34, 10), 4: (29, 33, 7)}
"""Label: voxel x, y of a tube along z, and its length; and one that is too short."""
SHORT = (20, 24)
OBLIQUE_LAS = STORAGE["oblique"] @ STORAGE["LAS"]
ALPS = {"rois": "study", "user_rois": None}


def mask_at(tubes=TUBES, short=True):
    found = np.zeros(SHAPE, np.float32)
    for number, (x, y, length) in enumerate(tubes.values()):
        found[x, y, 5 + 5 * number : 5 + 5 * number + length] = 0.9
    if short:
        found[*SHORT, 30] = 0.9
    return found


def make(results: Path, unit=None, axes=OBLIQUE_LAS, dwi=True):
    """Write all that the viewer reads of one unit; returns the affine of its grid."""
    unit = unit or Unit("1")
    affine = grid(axes, sizes=(1.0, 1.0, 1.0), shape=SHAPE)
    anat = results / unit.folder / "anat"
    anat.mkdir(parents=True)

    def put(data, name, where="anat", place=affine):
        save(data, place, results / unit.path(where, name))

    x, y, z = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    brain = ((x - 20) / 17) ** 2 + ((y - 24) / 21) ** 2 + ((z - 20) / 17) ** 2 < 1
    regions = np.where(brain, np.where(apply_affine(affine, np.stack([x, y, z], -1))[..., 0] < 3,
                                       1, 2), 0).astype(np.uint8)  # fmt: skip
    found = mask_at() * (regions > 0)
    objects = census.find_objects(found, regions, affine)
    numbers = census.mask_of(objects, SHAPE)
    shade = np.where(brain, 0.2 + 0.01 * x, -1).astype(np.float32)
    space = "space-T1w_res-1mm_"
    put(np.where(found > 0, -0.8, shade).astype(np.float32), f"{space}desc-norm_T1w.nii.gz")
    put(np.where(found > 0, 1.0, -shade * brain - ~brain).astype(np.float32),
        f"{space}desc-norm_T2w.nii.gz")  # fmt: skip
    put(regions, f"{space}desc-region_dseg.nii.gz")
    put(found, f"{space}label-EPVS_probseg.nii.gz")
    put(numbers, f"{space}desc-EPVS_dseg.nii.gz")
    put(((found > 0) & (numbers == 0)).astype(np.uint8), f"{space}desc-notcounted_mask.nii.gz")
    put(np.zeros(SHAPE, np.uint8), f"{space}desc-lesion_mask.nii.gz")
    put((100 + 50 * shade).astype(np.float32), "desc-preproc_T1w.nii.gz")
    put(brain.astype(np.uint8), "desc-brain_mask.nii.gz")
    rows = census.table(objects, affine, lambda points: points)
    write_tsv(rows, anat / f"{unit.prefix}_desc-EPVS_objects.tsv", list(census.TABLE_COLUMNS))
    if dwi:
        _diffusion(results, unit, put)
    _page(results)
    return affine


def _diffusion(results, unit, put):
    """A DWI about the regions of the preset, its world that of the template moved by 2 mm."""
    (results / unit.folder / "dwi").mkdir()
    shape = (48, 20, 20)
    affine = grid(np.diag([-1.0, 1, 1]), sizes=(2.0, 2.0, 2.0), shape=shape, centre=(-2, -12, 24))
    fa = np.full(shape, 0.5, np.float32)
    v1 = np.zeros((*shape, 3), np.float32)
    v1[..., 2] = 1
    shares = np.zeros((*shape, 4), np.float32)
    points = apply_affine(affine, np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1))
    for k, roi in enumerate(load_rois(ALPS).values()):
        shares[..., k] = roi.contains(points - [2, 0, 0])
    place = {"where": "dwi", "place": affine}
    put(fa, "model-tensor_param-fa_dwimap.nii.gz", **place)
    put(v1, "model-tensor_param-v1_dwimap.nii.gz", **place)
    put(fa, "desc-preproc_dwiref.nii.gz", **place)
    put(shares, "desc-alps_probseg.nii.gz", **place)
    write_json({"Parameters": ALPS, "Regions": region_names()},
               results / unit.path("dwi", "desc-alps_dwi.json"))  # fmt: skip
    moved = np.eye(4)
    moved[0, 3] = -2.0
    write_itk_affine(results / unit.path("dwi", "from-dwi_to-T1w_mode-image_xfm.mat"), moved)
    stem = "from-T1w_to-template_desc-"
    write_itk_affine(results / unit.path("anat", f"{stem}affine_mode-image_xfm.mat"), np.eye(4))
    write_itk_field(str(results / unit.path("anat", f"{stem}warp_mode-image_xfm.nii.gz")),
                    np.zeros((6, 6, 6, 3)), grid(np.eye(3), (40, 40, 40), (6, 6, 6)))  # fmt: skip


def _page(results):
    """report/qc.html of the subjects that are there."""
    units = sorted(p.name for p in results.glob("sub-*"))
    table = [{"participant_id": name, "session_id": None, "group": "HC", "corrected": None,
              "dwi_snr": "10"} for name in units]  # fmt: skip
    data = page_data([(name, None, name) for name in units], table, [], [], [], {})
    (results / "report").mkdir(exist_ok=True)
    (results / "report/qc.html").write_text(render(data), encoding="utf-8")
    for name in units:
        (results / name / f"{name}_qc.html").write_text("<!doctype html><title>one</title>")
        (results / name / "figures").mkdir(exist_ok=True)
        (results / name / f"figures/{name}_desc-thumbnails_qc.jpg").write_bytes(b"")


def renumber(results, unit=None):
    """As after a run that found one object fewer: the first goes, the others move up."""
    unit = unit or Unit("1")
    path = results / unit.path("anat", "space-T1w_res-1mm_desc-EPVS_dseg.nii.gz")
    image = nib.load(path)
    numbers = np.asanyarray(image.dataobj)
    save(np.where(numbers > 0, numbers - 1, 0).astype(np.uint16), image.affine, path)
    table = results / unit.path("anat", "desc-EPVS_objects.tsv")
    rows = [row | {"object": int(row["object"]) - 1} for row in read_tsv(table)[1:]]
    write_tsv(rows, table, list(census.TABLE_COLUMNS))


def nifti(mask, affine) -> bytes:
    return nib.Nifti1Image(mask.astype(np.uint8), affine).to_bytes()
