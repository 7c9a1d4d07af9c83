"""What to simulate: frozen descriptions of a scan, a subject and a cohort, and random streams.

Every random draw comes from a stream named by what it is for, seeded by the subject's seed and that
name. Leaving out a modality, or changing the voxel size of one, therefore changes no other draw.
"""

import dataclasses
import hashlib
import json
import zlib
from dataclasses import dataclass

import numpy as np

from .space import parse_storage

GENERATOR = "glymph.simulate"
GENERATOR_VERSION = "2"
MODALITIES = ("T1w", "T2w", "FLAIR", "dwi")
TRACTS = ("uniform", "curved")
SCAN_STREAMS = ("pose", "motion", "eddy", "bias", "noise")


@dataclass(frozen=True)
class ScanSpec:
    """How the images are taken. Sizes are in mm, in the order right-left, front-back, head-foot.

    modalities
        Which of T1w, T2w, FLAIR, dwi are written.
    t1w_voxel, t2w_voxel, flair_voxel, dwi_voxel
        Voxel sizes in mm.
    anat_extent_mm, dwi_extent_mm
        Least size of the images; they grow where the brain would not fit.
    anat_storage, dwi_storage
        Order in which the axes are stored: a three-letter code such as "RAS", "LAS", "PSR", or
        "oblique": the sampling grid is turned by `tilt_deg` and then stored as LAS. The head
        itself does not turn.
    tilt_deg
        Turn of an oblique grid about the x, y and z axes of the scanner.
    shells, n_b0
        Diffusion shells as (b in s/mm2, number of directions), and the number of b = 0 volumes,
        which come first.
    dwi_zero_fill
        Factor by which each slice is interpolated after the acquisition by filling k-space with
        zeros; the stored voxel is `dwi_voxel` divided by it within the slice. The study's
        protocol is dwi_voxel (1.5, 1.5, 1.5) with factor 2.
    snr_anat, snr_dwi
        Signal of white matter (of the b = 0 volume) over the noise of one channel; the noise is
        Rician. None: no noise and no bias field.
    motion_mm, motion_deg
        Standard deviation, per axis, of the head's position around that of the first volume.
    eddy_mm
        Typical displacement by eddy currents 80 mm from the centre at b = 1000.
    susceptibility_mm
        Largest displacement by susceptibility, at the base of the frontal lobe. 0: none.
    reverse_b0
        Write a b = 0 volume of opposite phase encoding under fmap/.
    between_scans
        Scale of the head's change of place between T1w and the other scans (1: about 0.7 degrees
        and 0.8 mm; 0: none).
    atlas_mm
        Step of the anatomical maps that are sampled: 1, or 2 for quick tests.
    """

    modalities: tuple[str, ...] = ("T1w", "T2w", "dwi")
    t1w_voxel: tuple[float, float, float] = (1.0, 1.0, 1.0)
    t2w_voxel: tuple[float, float, float] = (1.0, 1.0, 1.0)
    flair_voxel: tuple[float, float, float] = (1.0, 1.0, 1.0)
    dwi_voxel: tuple[float, float, float] = (2.0, 2.0, 2.0)
    anat_extent_mm: tuple[float, float, float] = (176.0, 224.0, 192.0)
    dwi_extent_mm: tuple[float, float, float] = (192.0, 224.0, 144.0)
    anat_storage: str = "LAS"
    dwi_storage: str = "LAS"
    tilt_deg: tuple[float, float, float] = (25.0, 0.0, 6.0)
    shells: tuple[tuple[float, int], ...] = ((1000.0, 25),)
    n_b0: int = 1
    dwi_zero_fill: int = 1
    snr_anat: float | None = 35.0
    snr_dwi: float | None = 25.0
    motion_mm: float = 0.3
    motion_deg: float = 0.3
    eddy_mm: float = 1.0
    susceptibility_mm: float = 0.0
    reverse_b0: bool = False
    between_scans: float = 1.0
    atlas_mm: int = 1

    def __post_init__(self):
        unknown = set(self.modalities) - set(MODALITIES)
        if unknown:
            raise ValueError(f"unknown modalities {sorted(unknown)}; known are {MODALITIES}")
        for code in (self.anat_storage, self.dwi_storage):
            parse_storage(code)
        if self.atlas_mm not in (1, 2):
            raise ValueError("atlas_mm must be 1 or 2")
        if self.n_b0 < 0 or any(b <= 0 or n < 1 for b, n in self.shells):
            raise ValueError("shells need b > 0 and at least one direction each; n_b0 >= 0")


LIGHT_SCAN = ScanSpec(
    t1w_voxel=(3.0, 3.0, 3.0),
    t2w_voxel=(3.0, 3.0, 3.0),
    flair_voxel=(3.0, 3.0, 3.0),
    dwi_voxel=(3.0, 3.0, 3.0),
    anat_extent_mm=(162.0, 204.0, 168.0),
    dwi_extent_mm=(0.0, 0.0, 0.0),
    atlas_mm=2,
)


def ideal(scan: ScanSpec) -> ScanSpec:
    """The same scan without noise, bias field, motion and eddy currents."""
    still = {"motion_mm": 0.0, "motion_deg": 0.0, "eddy_mm": 0.0}
    return dataclasses.replace(scan, snr_anat=None, snr_dwi=None, **still)


@dataclass(frozen=True)
class SubjectSpec:
    """One subject at one session.

    participant, session
        Labels without "sub-" and "ses-"; session None leaves out the session level.
    seed
        Decides anatomy, diffusivities and EPVS.
    scan_seed
        Decides head position between scans, motion, eddy currents, bias field and noise; None
        takes `seed`. Two sessions of one person share `seed` and differ in `scan_seed`.
    alps_left, alps_right
        True ALPS index per hemisphere; left is the anatomical left, x < 0.
    pitch_deg, roll_deg, yaw_deg, position_mm
        Head position in the scanner: turn about x (positive: nose up), y and z, and shift.
    scale
        Size of the head against the MNI template per axis; None draws about 0.92.
    deformation_mm
        Root-mean-square displacement, per axis, of the subject's own smooth anatomy.
    tracts
        Kind of the two ALPS tracts: "uniform" or "curved" (see `tracts`).
    atrophy
        0 to 1: widened ventricles (up to about 3 mm) and sulci.
    epvs_cso, epvs_bg, epvs_midbrain
        How many EPVS to plant in centrum semiovale, basal ganglia and midbrain.
    raters
        Names of simulated raters, who each miss and add some.
    scan
        How the images are taken.
    """

    participant: str
    seed: int
    session: str | None = None
    scan_seed: int | None = None
    alps_left: float = 1.5
    alps_right: float = 1.5
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    yaw_deg: float = 0.0
    position_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] | None = None
    deformation_mm: float = 1.8
    tracts: str = "uniform"
    atrophy: float = 0.0
    epvs_cso: int = 5
    epvs_bg: int = 7
    epvs_midbrain: int = 1
    raters: tuple[str, ...] = ()
    scan: ScanSpec = dataclasses.field(default_factory=ScanSpec)

    def __post_init__(self):
        for label in filter(None, (self.participant, self.session)):
            if not label.isalnum():
                raise ValueError(f"BIDS labels are letters and digits only, not {label!r}")
        for alps in (self.alps_left, self.alps_right):
            if not 0.7 <= alps <= 2.4:
                raise ValueError(f"an ALPS index of {alps} leaves no fibre direction to measure")
        if self.tracts not in TRACTS:
            raise ValueError(f"tracts are one of {', '.join(TRACTS)}, not {self.tracts!r}")
        if not 0 <= self.atrophy <= 1:
            raise ValueError("atrophy must lie between 0 and 1")

    @property
    def entities(self) -> str:
        """Begin of the file names, such as "sub-01_ses-2"."""
        return "_".join(self.levels)

    @property
    def levels(self) -> tuple[str, ...]:
        """Folder names below the dataset, such as ("sub-01", "ses-2")."""
        session = () if self.session is None else (f"ses-{self.session}",)
        return (f"sub-{self.participant}", *session)

    def rng(self, stream: str) -> np.random.Generator:
        """Random numbers for one named purpose, independent of all other purposes."""
        scan = stream.split(":")[0] in SCAN_STREAMS
        seed = self.scan_seed if scan and self.scan_seed is not None else self.seed
        return np.random.default_rng([seed, zlib.crc32(stream.encode())])


@dataclass(frozen=True)
class CohortSpec:
    """A cohort whose groups differ as in the study's Tables 1, 3 and 4.

    n_ad, n_amci, n_nc
        Subjects per group.
    seed
        Each subject's seed follows from this and its label, so a larger cohort of the same seed
        contains the smaller one.
    pitch_deg, pose_sd_deg
        Mean head pitch, and the standard deviation of pitch, roll and yaw.
    missing
        Pairs of participant label and modality that are left out.
    raters
        Names of simulated raters.
    session
        Session label of every subject, or None.
    tracts
        Kind of the ALPS tracts of every subject: "uniform" or "curved".
    scan
        How the images are taken.
    """

    n_ad: int = 3
    n_amci: int = 3
    n_nc: int = 3
    seed: int = 1
    pitch_deg: float = 0.0
    pose_sd_deg: tuple[float, float, float] = (5.0, 2.0, 3.0)
    missing: tuple[tuple[str, str], ...] = ()
    raters: tuple[str, ...] = ()
    session: str | None = None
    tracts: str = "uniform"
    scan: ScanSpec = dataclasses.field(default_factory=ScanSpec)


def stamp(spec) -> str:
    """Hash of everything that decides the output: the description and the generator's version."""
    content = json.dumps([GENERATOR_VERSION, dataclasses.asdict(spec)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
