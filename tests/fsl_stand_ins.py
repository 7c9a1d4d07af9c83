"""Stand-ins for FSL's commands, and FSL's coordinates in closed form, written apart from fslpy.

The stand-ins show that files and arguments go to and fro in FSL's conventions. They are not FSL
and validate nothing that FSL computes; tests that need FSL itself are skipped without FSLDIR.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

FSL = pytest.mark.skipif(not os.environ.get("FSLDIR"), reason="needs FSL: FSLDIR is not set")


def to_fsl(affine, shape):
    """4x4 map of voxels to FSL coordinates: mm, x from the other end where det(affine) > 0."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    matrix = np.diag([*sizes, 1.0])
    if np.linalg.det(affine[:3, :3]) > 0:
        matrix[0] *= -1
        matrix[0, 3] = (shape[0] - 1) * sizes[0]
    return matrix


def world_to_fsl(image):
    return to_fsl(image.affine, image.shape) @ np.linalg.inv(image.affine)


def flirt_matrix(world, source, reference):
    """FLIRT's matrix of a 4x4 ``world`` map of source to reference points."""
    return world_to_fsl(reference) @ world @ np.linalg.inv(world_to_fsl(source))


def world_points(image):
    voxels = np.moveaxis(np.indices(image.shape[:3]), 0, -1)
    return voxels @ image.affine[:3, :3].T + image.affine[:3, 3]


def moved(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def fnirt_field(there, source, reference):
    """FNIRT's displacements to the world points ``there`` of the source, per reference voxel."""
    here = moved(world_to_fsl(reference), world_points(reference))
    return (moved(world_to_fsl(source), there) - here).astype(np.float32)


COMMAND = """#!{python}
import json, os, sys
import nibabel as nib
import numpy as np
sys.path.insert(0, {root!r})
from tests import fsl_stand_ins as s

truth = {{k: np.array(v) for k, v in json.load(open({truth!r})).items()}}
words = sys.argv[1:]
options = dict(w[2:].split("=", 1) for w in words if w.startswith("--") and "=" in w)
assert os.environ["FSLOUTPUTTYPE"] == "NIFTI_GZ"
print("stand-in for", os.path.basename(sys.argv[0]))
s.{name}(words, options, truth, nib, np)
"""


def after(words, flag):
    return words[words.index(flag) + 1]


def bet(words, options, truth, nib, np):
    image = nib.load(words[0])
    inside = np.asanyarray(image.dataobj) > 100
    nib.save(nib.Nifti1Image(inside.astype(np.uint8), image.affine), f"{words[1]}_mask.nii.gz")


def flirt(words, options, truth, nib, np):
    source, reference = nib.load(after(words, "-in")), nib.load(after(words, "-ref"))
    np.savetxt(after(words, "-omat"), flirt_matrix(truth["world"], source, reference))


def wave(points, size):
    """A smooth displacement (n, 3) of some ``size`` mm."""
    turned = points[..., [1, 2, 0]]
    return size * np.sin(turned / 25 + [0.3, 1.1, 2.0])


def fnirt(words, options, truth, nib, np):
    source, reference = nib.load(options["in"]), nib.load(options["ref"])
    given = np.loadtxt(options["aff"])
    points = world_points(reference)
    aligned = points + wave(points, float(truth["size"]))
    inverse = np.linalg.inv(given)
    # FNIRT's own sum: the affine's inverse of a template point, plus the displacement
    there = moved(np.linalg.inv(world_to_fsl(source)) @ inverse @ world_to_fsl(reference), aligned)
    field = fnirt_field(there, source, reference)
    nib.save(nib.Nifti1Image(field, reference.affine), options["fout"])


def invwarp(words, options, truth, nib, np):
    from scipy.ndimage import map_coordinates

    assert "--rel" in words
    field, reference = nib.load(options["warp"]), nib.load(options["ref"])
    there = to_fsl(reference.affine, reference.shape)
    back = np.linalg.inv(there)
    goal = moved(there, np.moveaxis(np.indices(reference.shape), 0, -1))
    data, place = np.asanyarray(field.dataobj), goal
    for _ in range(20):
        voxels = np.moveaxis(moved(back, place), -1, 0)
        step = [map_coordinates(data[..., k], voxels, order=1, mode="nearest") for k in range(3)]
        place = goal - np.moveaxis(np.array(step), 0, -1)
    found = (place - goal).astype(np.float32)
    nib.save(nib.Nifti1Image(found, reference.affine), options["out"])


def dtifit(words, options, truth, nib, np):
    """A plain log-linear fit in the axes of the bvecs as they stand in the file."""
    assert {"--wls", "--save_tensor"} <= set(words)
    image, mask = nib.load(options["data"]), nib.load(options["mask"])
    x, y, z = np.loadtxt(options["bvecs"])
    b = np.loadtxt(options["bvals"])
    design = np.stack([-b * x * x, -2 * b * x * y, -2 * b * x * z, -b * y * y, -2 * b * y * z,
                       -b * z * z, np.ones_like(b)], axis=1)  # fmt: skip
    inside = np.asanyarray(mask.dataobj) > 0
    signal = np.maximum(np.asanyarray(image.dataobj)[inside], 1e-3)
    found = np.linalg.lstsq(design, np.log(signal).T, rcond=None)[0].T
    values, vectors = np.linalg.eigh(found[:, [[0, 1, 2], [1, 3, 4], [2, 4, 5]]])
    mean = values.mean(axis=1)
    spread = ((values - mean[:, None]) ** 2).sum(axis=1) / (values**2).sum(axis=1)
    maps = {"tensor": found[:, :6], "S0": np.exp(found[:, 6]), "MD": mean, "V1": vectors[:, :, 2],
            "L1": values[:, 2], "L2": values[:, 1], "L3": values[:, 0],
            "FA": np.sqrt(1.5 * spread)}  # fmt: skip
    for name, values in maps.items():
        grid = np.zeros(inside.shape + values.shape[1:], np.float32)
        grid[inside] = values
        nib.save(nib.Nifti1Image(grid, image.affine), f"{options['out']}_{name}.nii.gz")


def eddy(words, options, truth, nib, np):
    image = nib.load(options["imain"])
    volumes = image.shape[3]
    assert np.loadtxt(options["index"]).tolist() == [1] * volumes
    assert np.loadtxt(options["acqp"]).tolist() == truth["acqp"].tolist()
    out = options["out"]
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj) * 2, image.affine), f"{out}.nii.gz")
    np.savetxt(f"{out}.eddy_parameters", truth["parameters"])
    np.savetxt(f"{out}.eddy_rotated_bvecs", np.loadtxt(options["bvecs"])[[1, 0, 2]])


def eddy_correct(words, options, truth, nib, np):
    image = nib.load(words[0])
    first = nib.Nifti1Image(np.asanyarray(image.dataobj)[..., int(words[2])], image.affine)
    with open(f"{words[1]}.ecclog", "w") as log:  # noqa: PTH123
        for number, world in enumerate(truth["worlds"]):
            rows = flirt_matrix(world, first, first)
            text = "\n".join("  ".join(f"{v:.10f}" for v in row) + "  " for row in rows)
            log.write(f"processing {words[1]}_tmp{number:04d}\n\nFinal result:\n{text}\n\n")


def make(folder, truth, version="6.0.7.4:abc", names=None):
    """A folder to point FSLDIR at, whose commands are stand-ins that give ``truth``."""
    names = names or ("bet", "flirt", "fnirt", "invwarp", "dtifit", "eddy", "eddy_correct")
    (folder / "bin").mkdir(parents=True)
    (folder / "etc").mkdir()
    (folder / "etc" / "fslversion").write_text(version + "\n")
    plain = {key: np.asarray(value).tolist() for key, value in truth.items()}
    (folder / "truth.json").write_text(json.dumps(plain))
    root = str(Path(__file__).resolve().parents[1])
    for name in names:
        command = folder / "bin" / name
        command.write_text(
            COMMAND.format(
                python=sys.executable, root=root, truth=str(folder / "truth.json"), name=name
            )
        )
        command.chmod(0o755)
    return folder
