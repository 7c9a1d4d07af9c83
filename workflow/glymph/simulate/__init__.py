"""Whole BIDS subjects with known truth: anatomy, EPVS, diffusion tensors and head position.

The generator shares no code with the estimation that it tests.
"""

from .cohort import draw_cohort, simulate_cohort
from .spec import LIGHT_SCAN, CohortSpec, ScanSpec, SubjectSpec, ideal
from .subject import simulate_subject

__all__ = [
    "LIGHT_SCAN",
    "CohortSpec",
    "ScanSpec",
    "SubjectSpec",
    "draw_cohort",
    "ideal",
    "simulate_cohort",
    "simulate_subject",
]
