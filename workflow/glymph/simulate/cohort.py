"""A cohort whose groups differ as the study's do, written as one BIDS dataset."""

import dataclasses
import json
import zlib
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .files import write_json, write_table, write_text
from .spec import GENERATOR, GENERATOR_VERSION, CohortSpec, SubjectSpec, stamp
from .subject import clear_recorded, read_finished, simulate_subject

STAMP_FILE = "simulation.json"


@dataclass(frozen=True)
class Group:
    """Means and standard deviations of the study's Tables 1, 3 and 4.

    ALPS: the study prints standard errors; SD = SEM x sqrt(n). epvs: median of the number and the
    spread of its logarithm, (ln of the quartiles' ratio) / 1.349. bg: share of EPVS in the basal
    ganglia, from the ratio of their volume fraction to the total volume.
    """

    label: str
    prefix: str
    male: float
    age: tuple[float, float]
    education: tuple[float, float]
    mmse: tuple[float, float]
    moca: tuple[float, float]
    left: tuple[float, float]
    right: tuple[float, float]
    epvs: tuple[float, float]
    bg: float
    atrophy: float


def _sd(sem, n):
    return sem * np.sqrt(n)


GROUPS = (
    Group(
        "AD", "AD", 40 / 89, (68.75, 9.292), (7.83, 4.36), (17.27, 5.67), (13.38, 6.173),
        (1.312, _sd(0.016, 89)), (1.303, _sd(0.018, 89)), (19, 0.72), 0.57, 0.6,
    ),
    Group(
        "aMCI", "MCI", 12 / 24, (67.25, 9.317), (8.25, 4.173), (25.92, 0.974), (20.88, 3.982),
        (1.429, _sd(0.047, 24)), (1.472, _sd(0.043, 24)), (14, 0.65), 0.58, 0.35,
    ),
    Group(
        "NC", "NC", 12 / 32, (65.41, 7.551), (8.72, 2.543), (28.59, 0.798), (27.28, 1.42),
        (1.576, _sd(0.031, 32)), (1.565, _sd(0.031, 32)), (12, 0.41), 0.59, 0.2,
    ),
)  # fmt: skip
SIDE_CORRELATION = 0.7
COGNITION_CORRELATION = 0.35
EPVS_CORRELATION = -0.3
ALPS_RANGE = (0.9, 2.1)
MIDBRAIN_SHARE = 0.05

PARTICIPANT_COLUMNS = {
    "participant_id": {"Description": "Label of the simulated subject"},
    "group": {
        "Description": "Diagnostic group",
        "Levels": {
            "AD": "Alzheimer's disease",
            "aMCI": "amnestic mild cognitive impairment",
            "NC": "normal cognition",
        },
    },
    "age": {"Description": "Age", "Units": "years"},
    "sex": {"Description": "Sex", "Levels": {"M": "male", "F": "female"}},
    "education": {"Description": "Years of education", "Units": "years"},
    "mmse": {"Description": "Mini-Mental State Examination, 0 to 30"},
    "moca": {"Description": "Montreal Cognitive Assessment, 0 to 30"},
}

TRUTH_COLUMNS = {
    "participant_id": "Subject, as in the BIDS dataset",
    "session_id": "Session, or n/a",
    "alps_left": "True ALPS index of the anatomical left hemisphere (x < 0)",
    "alps_right": "True ALPS index of the anatomical right hemisphere (x > 0)",
    "alps_mean": "Mean of both",
    "dxx_projection_left": "Diffusivity along right-left in the left projection tract, mm2/s",
    "dyy_projection_left": "Diffusivity along front-back in the left projection tract, mm2/s",
    "dxx_association_left": "Diffusivity along right-left in the left association tract, mm2/s",
    "dzz_association_left": "Diffusivity along head-foot in the left association tract, mm2/s",
    "dxx_projection_right": "As for the left",
    "dyy_projection_right": "As for the left",
    "dxx_association_right": "As for the left",
    "dzz_association_right": "As for the left",
    "pitch_deg": "Turn of the head about x in the T1w image; positive lifts the nose",
    "roll_deg": "Turn of the head about y in the T1w image",
    "yaw_deg": "Turn of the head about z in the T1w image",
    "dwi_pitch_deg": "Turn of the head about x in the first diffusion volume",
    "dwi_roll_deg": "Turn of the head about y in the first diffusion volume",
    "dwi_yaw_deg": "Turn of the head about z in the first diffusion volume",
    "gm_volume_mm3": "Grey matter",
    "wm_volume_mm3": "White matter",
    "csf_volume_mm3": "CSF within the brain's outline",
    "brain_volume_mm3": "Grey and white matter",
    "epvs_count_total": "Planted EPVS",
    "epvs_volume_total_mm3": "Their volume, from the share of each T1w voxel",
    "epvs_count_cso": "In the centrum semiovale",
    "epvs_volume_cso_mm3": "In the centrum semiovale",
    "epvs_count_bg": "In the basal ganglia",
    "epvs_volume_bg_mm3": "In the basal ganglia",
    "epvs_count_midbrain": "In the midbrain",
    "epvs_volume_midbrain_mm3": "In the midbrain",
    "mean_motion_mm": "Mean shift of the diffusion volumes from the first",
}


def draw_cohort(spec: CohortSpec) -> tuple[list[SubjectSpec], pd.DataFrame]:
    """Subjects and their participants table; nothing is written.

    Raises ValueError if `missing` names an unknown subject.
    """
    members = [
        _draw_member(spec, group, number)
        for group, count in zip(GROUPS, (spec.n_ad, spec.n_amci, spec.n_nc), strict=True)
        for number in range(1, count + 1)
    ]
    subjects = [subject for subject, _ in members]
    strangers = {label for label, _ in spec.missing} - {s.participant for s in subjects}
    if strangers:
        raise ValueError(f"no such subjects to take modalities from: {sorted(strangers)}")
    return subjects, pd.DataFrame([row for _, row in members])


def _draw_member(spec: CohortSpec, group: Group, number: int) -> tuple[SubjectSpec, dict]:
    label = f"{group.prefix}{number:02d}"
    seed = zlib.crc32(f"{spec.seed}:{label}".encode())
    rng = np.random.default_rng([seed, 0])
    z = rng.standard_normal(16)
    left_z, right_z = z[0], _related(z[0], z[1], SIDE_CORRELATION)
    alps_z = (left_z + right_z) / np.sqrt(2 * (1 + SIDE_CORRELATION))
    mmse_z = _related(alps_z, z[2], COGNITION_CORRELATION)
    moca_z = _related(alps_z, _related(z[2], z[3], 0.6), COGNITION_CORRELATION)
    epvs_z = _related(alps_z, z[4], EPVS_CORRELATION)
    cso, bg, midbrain = _draw_epvs(group, epvs_z, rng)
    pose = z[7:10] * spec.pose_sd_deg + [spec.pitch_deg, 0, 0]
    subject = SubjectSpec(
        participant=label,
        session=spec.session,
        seed=seed,
        alps_left=_bounded(group.left, left_z, ALPS_RANGE),
        alps_right=_bounded(group.right, right_z, ALPS_RANGE),
        pitch_deg=float(pose[0]),
        roll_deg=float(pose[1]),
        yaw_deg=float(pose[2]),
        position_mm=tuple(float(v) for v in 4 * z[10:13]),
        tracts=spec.tracts,
        atrophy=float(np.clip(group.atrophy + 0.15 * z[13], 0, 1)),
        epvs_cso=cso,
        epvs_bg=bg,
        epvs_midbrain=midbrain,
        raters=spec.raters,
        scan=_without_missing(spec, label),
    )
    row = {
        "participant_id": f"sub-{label}",
        "group": group.label,
        "age": round(_bounded(group.age, z[5], (45, 90))),
        "sex": "M" if rng.random() < group.male else "F",
        "education": round(_bounded(group.education, z[6], (0, 22))),
        "mmse": round(_bounded(group.mmse, mmse_z, (0, 30))),
        "moca": round(_bounded(group.moca, moca_z, (0, 30))),
    }
    return subject, row


def _related(z, own, correlation):
    """A standard normal value that correlates with z."""
    return correlation * z + np.sqrt(1 - correlation**2) * own


def _bounded(mean_sd, z, limits) -> float:
    return float(np.clip(mean_sd[0] + mean_sd[1] * z, *limits))


def _draw_epvs(group, z, rng) -> tuple[int, int, int]:
    median, spread = group.epvs
    total = int(np.clip(round(median * np.exp(spread * z)), 2, 60))
    shares = [1 - group.bg - MIDBRAIN_SHARE, group.bg, MIDBRAIN_SHARE]
    return tuple(int(n) for n in rng.multinomial(total, shares))


def _without_missing(spec, label):
    gone = {modality for name, modality in spec.missing if name == label}
    kept = tuple(m for m in spec.scan.modalities if m not in gone)
    return dataclasses.replace(spec.scan, modalities=kept)


def simulate_cohort(
    spec: CohortSpec, bids_dir, truth_dir, jobs: int = 1, force: bool = False, report=print
) -> pd.DataFrame:
    """Write a cohort and return its truth table.

    jobs: subjects simulated at a time; the output does not depend on it. force: replace a dataset
    of another description that this generator made. report: called with a line on each step.
    An identical complete dataset is left as it is; an interrupted one is completed. Raises
    FileExistsError where other data are in the way.
    """
    bids_dir, truth_dir = Path(bids_dir), Path(truth_dir)
    subjects, participants = draw_cohort(spec)
    _claim(spec, bids_dir, truth_dir, force)
    waiting = [s for s in subjects if read_finished(s, bids_dir, truth_dir) is None]
    if not waiting and _is_complete(truth_dir):
        report(f"{bids_dir}: all {len(subjects)} subjects are there already, nothing to do")
        return _truth_table(subjects, bids_dir, truth_dir)
    write_json(bids_dir / "dataset_description.json", _description("Simulated DTI-ALPS cohort"))
    _run_all(waiting, len(subjects), bids_dir, truth_dir, jobs, report)
    _write_dataset(spec, bids_dir, participants)
    write_json(truth_dir / "truth.json", {k: {"Description": v} for k, v in TRUTH_COLUMNS.items()})
    table = _truth_table(subjects, bids_dir, truth_dir)
    write_table(truth_dir / "truth.tsv", table)
    return table


def _truth_table(subjects, bids_dir, truth_dir) -> pd.DataFrame:
    rows = [read_finished(subject, bids_dir, truth_dir) for subject in subjects]
    return pd.DataFrame(rows, columns=list(TRUTH_COLUMNS))


def _run_all(waiting, total, bids_dir, truth_dir, jobs, report):
    finished = total - len(waiting)
    if jobs <= 1:
        for subject in waiting:
            simulate_subject(subject, bids_dir, truth_dir)
            finished += 1
            report(f"{finished}/{total} {subject.entities}")
        return
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(simulate_subject, s, bids_dir, truth_dir): s for s in waiting}
        for future in as_completed(running):
            future.result()
            finished += 1
            report(f"{finished}/{total} {running[future].entities}")


def _claim(spec, bids_dir, truth_dir, force):
    """Make the folders ours: empty, or begun by this generator with the same description."""
    record = truth_dir / STAMP_FILE
    known = _read(record)
    foreign_input = not (_is_empty(bids_dir) or _is_ours(bids_dir))
    foreign_truth = not (_is_empty(truth_dir) or known.get("generator") == GENERATOR)
    if foreign_input or foreign_truth:
        raise FileExistsError(
            f"{bids_dir} or {truth_dir} holds files that this generator did not write; "
            "name empty folders"
        )
    if known.get("stamp", stamp(spec)) != stamp(spec):
        if not force:
            raise FileExistsError(
                f"{bids_dir} holds a simulated dataset of another description; "
                "name other folders, or replace it with --force"
            )
        _clear(bids_dir, truth_dir)
    content = {
        "generator": GENERATOR,
        "version": GENERATOR_VERSION,
        "stamp": stamp(spec),
        "spec": dataclasses.asdict(spec),
    }
    write_json(record, content)


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _is_empty(folder: Path) -> bool:
    return not folder.is_dir() or not any(folder.iterdir())


def _is_ours(bids_dir: Path) -> bool:
    """A dataset whose description names this generator."""
    makers = _read(bids_dir / "dataset_description.json").get("GeneratedBy", [])
    return any(maker.get("Name") == GENERATOR for maker in makers)


def _clear(bids_dir, truth_dir):
    """Remove what earlier runs wrote, by their own records, and nothing else."""
    for record in sorted(truth_dir.glob("sub-*/**/*_simulation.json")):
        clear_recorded(record, bids_dir, truth_dir)
    for path in (bids_dir / "participants.tsv", truth_dir / "truth.tsv"):
        path.unlink(missing_ok=True)
    left = (
        *bids_dir.glob("sub-*"),
        *bids_dir.glob("derivatives/*/sub-*"),
        *truth_dir.glob("sub-*"),
    )
    for folder in left:
        if not any(folder.iterdir()):
            folder.rmdir()


def _is_complete(truth_dir) -> bool:
    """The truth table is written last."""
    return (truth_dir / "truth.tsv").is_file()


def _write_dataset(spec, bids_dir, participants):
    write_table(bids_dir / "participants.tsv", participants)
    write_json(bids_dir / "participants.json", PARTICIPANT_COLUMNS)
    for rater in spec.raters:
        write_json(
            bids_dir / "derivatives" / rater / "dataset_description.json",
            _description(f"EPVS masks of {rater} (simulated)") | {"DatasetType": "derivative"},
        )
    write_text(bids_dir / "README", README.format(seed=spec.seed, version=GENERATOR_VERSION))


def _description(name) -> dict:
    return {
        "Name": name,
        "BIDSVersion": "1.9.0",
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": GENERATOR, "Version": GENERATOR_VERSION}],
    }


README = """Simulated cohort

No person was measured. Heads are drawn from the ICBM 152 template with a smooth deformation of
their own; diffusion tensors, enlarged perivascular spaces, head position, motion and distortion
are known and are kept in a folder apart. Group means follow the tables of the study that the
workflow reproduces.

Generator {version}, seed {seed}.
"""
