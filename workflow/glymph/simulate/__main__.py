"""Command line: python -m glymph.simulate BIDS_DIR TRUTH_DIR [options]."""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

from .cohort import simulate_cohort
from .spec import LIGHT_SCAN, MODALITIES, TRACTS, CohortSpec, ScanSpec


def _sizes(text: str) -> tuple[float, float, float]:
    values = tuple(float(v) for v in text.split(","))
    if len(values) not in (1, 3) or min(values) <= 0:
        raise argparse.ArgumentTypeError("one size, or three separated by commas, in mm")
    return values * 3 if len(values) == 1 else values


def _shell(text: str) -> tuple[float, int]:
    b, n = text.split(":")
    return float(b), int(n)


def _missing(text: str) -> tuple[str, str]:
    label, modality = text.split(":")
    if modality not in MODALITIES:
        raise argparse.ArgumentTypeError(f"{modality} is none of {', '.join(MODALITIES)}")
    return label.removeprefix("sub-"), modality


def build_parser() -> argparse.ArgumentParser:
    """The options; those left out keep the values of CohortSpec and ScanSpec."""
    parser = argparse.ArgumentParser("python -m glymph.simulate", description=__doc__)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("truth_dir", type=Path)
    parser.add_argument("--per-group", type=int, default=3, help="subjects in each group")
    parser.add_argument("--groups", type=int, nargs=3, metavar=("AD", "AMCI", "NC"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--force", action="store_true", help="replace another simulated dataset")
    parser.add_argument("--light", action="store_true", help="3 mm voxels, for quick tests")
    parser.add_argument(
        "--tracts",
        choices=TRACTS,
        help="ALPS tracts: curved, as in heads, where placement matters (default), or uniform "
        "blocks (default with --light, whose voxels are too large for real widths)",
    )
    parser.add_argument("--session")
    parser.add_argument("--pitch-deg", type=float, default=0.0, help="mean head pitch")
    parser.add_argument("--missing", type=_missing, nargs="+", default=[], metavar="LABEL:MODALITY")
    parser.add_argument("--raters", nargs="+", default=[], help="names of simulated raters")
    scan = parser.add_argument_group("scan")
    scan.add_argument("--modalities", nargs="+", choices=MODALITIES)
    scan.add_argument("--t1w-voxel", type=_sizes)
    scan.add_argument("--t2w-voxel", type=_sizes)
    scan.add_argument("--flair-voxel", type=_sizes)
    scan.add_argument("--dwi-voxel", type=_sizes)
    scan.add_argument("--dwi-zero-fill", type=int)
    scan.add_argument("--anat-storage", help="RAS, LAS, PSR, ... or oblique")
    scan.add_argument("--dwi-storage", help="RAS, LAS, PSR, ... or oblique")
    scan.add_argument("--shells", type=_shell, nargs="+", metavar="B:N")
    scan.add_argument("--n-b0", type=int)
    scan.add_argument("--snr-anat", type=float)
    scan.add_argument("--snr-dwi", type=float)
    scan.add_argument("--motion-mm", type=float)
    scan.add_argument("--motion-deg", type=float)
    scan.add_argument("--eddy-mm", type=float)
    scan.add_argument("--susceptibility-mm", type=float)
    scan.add_argument("--reverse-b0", action="store_const", const=True)
    return parser


def main(arguments=None) -> int:
    """Simulate a cohort; returns the exit status."""
    options = build_parser().parse_args(arguments)
    names = {field.name for field in dataclasses.fields(ScanSpec)}
    given = {k: v for k, v in vars(options).items() if k in names and v is not None}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    counts = options.groups or [options.per_group] * 3
    start = time.monotonic()
    try:
        spec = CohortSpec(
            *counts,
            seed=options.seed,
            pitch_deg=options.pitch_deg,
            missing=tuple(options.missing),
            raters=tuple(options.raters),
            session=options.session,
            tracts=options.tracts or ("uniform" if options.light else "curved"),
            scan=dataclasses.replace(LIGHT_SCAN if options.light else ScanSpec(), **given),
        )

        def report(line):
            print(f"[{time.monotonic() - start:6.1f} s] {line}", flush=True)

        simulate_cohort(
            spec, options.bids_dir, options.truth_dir, options.jobs, options.force, report
        )
    except (ValueError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
