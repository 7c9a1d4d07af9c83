"""Simulated subjects, each made once for all tests."""

import dataclasses
import json
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from glymph.simulate import LIGHT_SCAN, SubjectSpec, ideal, simulate_subject


class Result:
    """Reads back what one simulated subject left on disk."""

    def __init__(self, spec, root, row):
        self.spec, self.row = spec, row
        self.bids = root.joinpath("bids", *spec.levels)
        self.truth = root.joinpath("truth", *spec.levels)

    def image(self, folder, suffix):
        return nib.load(self.bids / folder / f"{self.spec.entities}_{suffix}.nii.gz")

    def mask(self, name):
        path = self.truth / f"{self.spec.entities}_space-T1w_label-{name}.nii.gz"
        return np.asarray(nib.load(path).dataobj)

    def table(self, name):
        return pd.read_csv(self.truth / f"{self.spec.entities}_{name}.tsv", sep="\t")

    def pose(self, name):
        text = (self.truth / f"{self.spec.entities}_poses.json").read_text()
        return np.array(json.loads(text)[name])

    def sidecar(self, folder, suffix):
        return json.loads((self.bids / folder / f"{self.spec.entities}_{suffix}.json").read_text())

    def dwi(self):
        """Series, affine, b-values and scanner-axis vectors, the table read as FSL defines it."""
        path = self.bids / "dwi" / f"{self.spec.entities}_dwi"
        image = nib.load(f"{path}.nii.gz")
        bvals, table = np.loadtxt(f"{path}.bval"), np.loadtxt(f"{path}.bvec")
        matrix = image.affine[:3, :3]
        if np.linalg.det(matrix) > 0:
            table[0] = -table[0]
        vectors = (matrix / np.linalg.norm(matrix, axis=0)) @ table
        data = np.asarray(image.dataobj, dtype=float)
        return SimpleNamespace(data=data, affine=image.affine, bvals=bvals, vectors=vectors.T)


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    """make(label, scan=..., **SubjectSpec fields): simulate a subject once per description."""

    known = {}

    def run(label="01", root=None, **fields):
        spec = SubjectSpec(label, **({"seed": 3, "scan": ideal(LIGHT_SCAN)} | fields))
        if (spec, root) not in known:
            where = root or tmp_path_factory.mktemp("subject")
            row = simulate_subject(spec, where / "bids", where / "truth")
            known[spec, root] = Result(spec, where, row)
        return known[spec, root]

    return run


@pytest.fixture(scope="session")
def subject(make):
    """One noisy subject with every modality, two raters and a session."""
    scan = dataclasses.replace(
        LIGHT_SCAN,
        modalities=("T1w", "T2w", "FLAIR", "dwi"),
        t1w_voxel=(1.5, 1.5, 1.5),
        reverse_b0=True,
        susceptibility_mm=6.0,
    )
    return make(
        scan=scan, session="1", raters=("one", "two"), epvs_cso=8, epvs_bg=10, atrophy=0.4, seed=5
    )
