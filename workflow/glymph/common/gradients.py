"""Diffusion gradient tables: FSL files and vectors in world coordinates.

FSL's ``bvec`` gives directions in image axes, with the first component negated where the affine's
determinant is positive ("radiological" storage is left alone). Everything else in this package
uses world (RAS) vectors; the two are converted here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glymph.common.errors import BadInput, brief
from glymph.common.spaces import image_axes

B0_MAX = 50.0
"""A volume with b at or below this, in s/mm2, counts as b = 0."""
SHELL_TOLERANCE = 0.05
"""Scanners write b-values of one shell that differ by so much, as a share."""
WIDEST_SHELL = 0.2
"""Between its lowest and highest b-value; a wider run of values has no shells."""


@dataclass(frozen=True)
class GradientTable:
    """``bvals`` (n,) in s/mm2 and unit ``vectors`` (n, 3) in world RAS; zero vectors at b = 0, and
    where a volume has no direction."""

    bvals: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.bvals)

    @property
    def is_b0(self) -> np.ndarray:
        return self.bvals <= B0_MAX

    @property
    def has_no_direction(self) -> np.ndarray:
        """Volumes with b > 0 and a zero vector: a trace or ADC image, or a b = 0 tabled wrongly."""
        return ~self.is_b0 & ~self.vectors.any(axis=1)

    def nominal(self) -> np.ndarray:
        """The b-value (n,) of each volume's shell, the median of its volumes; 0 at b = 0.

        Sorted b-values belong to one shell as long as each is within `SHELL_TOLERANCE` of the one
        below. Where these together span more than `WIDEST_SHELL` (a table without shells, as of
        diffusion spectra), every volume keeps its own.
        """
        found = np.zeros(len(self))
        weighted = np.flatnonzero(~self.is_b0)
        order = weighted[np.argsort(self.bvals[weighted], kind="stable")]
        values = self.bvals[order]
        starts = np.flatnonzero(values[1:] > values[:-1] * (1 + SHELL_TOLERANCE)) + 1
        for shell in np.split(order, starts):
            own = self.bvals[shell]
            one = len(own) and own.max() <= own.min() * (1 + WIDEST_SHELL)
            found[shell] = np.median(own) if one else own
        return found

    def select(self, keep: np.ndarray) -> GradientTable:
        return GradientTable(self.bvals[keep], self.vectors[keep])

    def directions(self) -> int:
        """Number of different diffusion directions, opposite ones counted once (5 degrees)."""
        found: list[np.ndarray] = []
        for vector in self.vectors[~self.is_b0]:
            if all(abs(vector @ other) < np.cos(np.radians(5)) for other in found):
                found.append(vector)
        return len(found)

    def condition(self) -> float:
        """Condition number of the design of a tensor by these directions (Skare 2000,
        10.1006/jmre.2000.2209); infinite where they do not determine one."""
        x, y, z = self.vectors[~self.is_b0].T
        design = np.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z], axis=1)
        if len(design) < 6:
            return float("inf")
        values = np.linalg.svd(design, compute_uv=False)
        return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")


def fsl_to_world(affine: np.ndarray) -> np.ndarray:
    """3x3 matrix that turns an FSL bvec (column) into a world vector for the grid ``affine``."""
    mirror = np.diag([-1.0 if np.linalg.det(affine[:3, :3]) > 0 else 1.0, 1.0, 1.0])
    return image_axes(affine) @ mirror


def _numbers(path: Path) -> np.ndarray:
    try:
        rows = [
            [float(word) for word in line.replace(",", " ").split()]
            for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            if line.strip()
        ]
    except (OSError, ValueError) as error:
        raise BadInput(f"not a table of numbers ({brief(error)})", path, "write it again") from None
    if not rows:
        raise BadInput("the file is empty", path, "copy it again from the conversion")
    if len({len(row) for row in rows}) > 1:
        raise BadInput("its rows differ in length", path, "write it again from the conversion")
    return np.array(rows)


def read_bvals(path: str | Path) -> np.ndarray:
    """The b-values (n,) of an FSL file, in whatever shape they stand; raises `BadInput`."""
    return _numbers(Path(path)).ravel()


def read_fsl(bval: str | Path, bvec: str | Path, affine: np.ndarray, volumes: int) -> GradientTable:
    """Read and check an FSL gradient table for an image of ``volumes`` on the grid ``affine``.

    Raises `BadInput` for files that are empty, transposed, of the wrong length, not finite, or
    whose vectors are neither unit vectors nor zero.
    """
    bval, bvec = Path(bval), Path(bvec)
    bvals, table = _numbers(bval), _numbers(bvec)
    if bvals.shape[0] != 1 and bvals.shape[1] == 1:
        raise BadInput(
            f"transposed: {bvals.shape[0]} rows of one value", bval,
            "BIDS wants one row; transpose the file",
        )  # fmt: skip
    if bvals.shape[0] != 1:
        raise BadInput(f"{bvals.shape[0]} rows where BIDS has one", bval, "write it as one row")
    if table.shape[0] != 3 and table.shape[1] == 3:
        raise BadInput(
            f"transposed: {table.shape[0]} rows of 3 values", bvec,
            "BIDS wants 3 rows (x, y, z), one column per volume; transpose the file",
        )  # fmt: skip
    if table.shape[0] != 3:
        raise BadInput(f"{table.shape[0]} rows where BIDS has 3", bvec, "write x, y, z as rows")
    bvals = bvals[0]
    if len(bvals) != table.shape[1]:
        raise BadInput(
            f"{table.shape[1]} directions, but {len(bvals)} b-values in {bval.name}", bvec,
            "convert the series again so that both come from one run",
        )  # fmt: skip
    if len(bvals) != volumes:
        raise BadInput(
            f"{len(bvals)} b-values for an image of {volumes} volumes", bval,
            "convert the series again; no volume may be dropped after conversion",
        )  # fmt: skip
    if not np.isfinite(bvals).all() or (bvals < 0).any():
        raise BadInput("b-values that are negative or not finite", bval, "convert again")
    return GradientTable(bvals, _unit_vectors(table.T, bvals, bvec) @ fsl_to_world(affine).T)


def _unit_vectors(vectors: np.ndarray, bvals: np.ndarray, source: Path) -> np.ndarray:
    weighted = bvals > B0_MAX
    vectors = np.where(weighted[:, None], vectors, 0.0)  # what stands at b = 0 means nothing
    if not np.isfinite(vectors).all():
        bad = ", ".join(map(str, np.flatnonzero(~np.isfinite(vectors).all(axis=1))[:5]))
        raise BadInput(f"vectors that are not finite at volume {bad}", source, "convert again")
    lengths = np.linalg.norm(vectors, axis=1)
    directed = weighted & (lengths > 0)  # a trace image has no direction
    wrong = np.flatnonzero(directed & (abs(lengths - 1) > 0.05))
    if len(wrong):
        listed = ", ".join(f"{i} ({lengths[i]:.3f})" for i in wrong[:5])
        raise BadInput(
            f"{len(wrong)} vectors are not of unit length, at volume (length) {listed}", source,
            "give unit vectors and the true b-values in the bval file",
        )  # fmt: skip
    return np.divide(vectors, lengths[:, None], out=vectors, where=directed[:, None])


def select_shells(table: GradientTable, b_max: float) -> np.ndarray:
    """Indices of the volumes that the tensor is fitted to.

    Those of the shells whose b-value is at most ``b_max`` (s/mm2), within `SHELL_TOLERANCE`: the
    tensor model fails above. Volumes with b > 0 and no direction (a trace image) are left out.

    >>> x = np.array([1.0, 0, 0])
    >>> table = GradientTable(np.array([0, 1000, 1005, 3000]), np.stack([0 * x, x, x, x]))
    >>> select_shells(table, b_max=1500).tolist()
    [0, 1, 2]
    """
    low = table.nominal() <= b_max * (1 + SHELL_TOLERANCE)
    return np.flatnonzero(low & ~table.has_no_direction)


def write_fsl(table: GradientTable, bval: str | Path, bvec: str | Path, affine: np.ndarray) -> None:
    """Write ``table`` as FSL files for an image on the grid ``affine``."""
    vectors = table.vectors @ fsl_to_world(affine)
    Path(bval).write_text(" ".join(f"{b:g}" for b in table.bvals) + "\n")
    rows = (" ".join(f"{value:.6f}" for value in row) for row in vectors.T)
    Path(bvec).write_text("\n".join(rows) + "\n")
