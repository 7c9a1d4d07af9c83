"""Names: of a subject-session ("unit") and its derivative files, and of the four ALPS regions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from glymph.common.errors import short

LABEL = r"[0-9a-zA-Z]+"
FOLDER_PATTERN = rf"sub-{LABEL}(?:/ses-{LABEL})?"
PREFIX_PATTERN = rf"sub-{LABEL}(?:_ses-{LABEL})?"

HEMISPHERES = ("left", "right")
TRACTS = ("projection", "association")
CORRECTED = "corrected"
"""Folder of raters' corrected files in the folder of the review."""
ALPS_AXES = ("native", "template", "principal", "pas", "ld")
PLACEMENTS = ("fixed", "adaptive")
RATIO = "l2_l3"
"""What stands for the axes in the columns of the eigenvalue ratio, which needs none."""


def region_names() -> list[str]:
    """Names of the four ALPS regions in the order of every list and 4D file."""
    return [f"{hemisphere}_{tract}" for hemisphere in HEMISPHERES for tract in TRACTS]


def alps_version(placement: str, axes: str) -> str:
    """What stands between ``alps_`` and the side in the columns of one version of the index."""
    return axes if placement == "fixed" else f"{placement}_{axes}"


@dataclass(frozen=True, order=True)
class Unit:
    """One subject, or one session of a subject where there are sessions (labels without prefix)."""

    subject: str
    session: str | None = None

    def __post_init__(self):
        for label in filter(None, (self.subject, self.session)):
            if not re.fullmatch(LABEL, label):
                raise ValueError(f"'{short(label)}' is no BIDS label; use letters and digits only")

    @property
    def participant_id(self) -> str:
        return f"sub-{self.subject}"

    @property
    def session_id(self) -> str | None:
        return f"ses-{self.session}" if self.session else None

    @property
    def folder(self) -> str:
        """``sub-01`` or ``sub-01/ses-a``."""
        return "/".join(filter(None, (self.participant_id, self.session_id)))

    @property
    def prefix(self) -> str:
        """``sub-01`` or ``sub-01_ses-a``, the start of every file name of this unit."""
        return "_".join(filter(None, (self.participant_id, self.session_id)))

    @classmethod
    def from_ids(cls, participant_id: str, session_id: str | None) -> Unit:
        """The unit of a table's row: ``sub-01`` and ``ses-a``, or None without sessions."""
        session = (session_id or "").removeprefix("ses-") or None
        return cls(participant_id.removeprefix("sub-"), session)

    @classmethod
    def from_prefix(cls, prefix: str) -> Unit:
        subject, _, session = prefix.removeprefix("sub-").partition("_ses-")
        return cls(subject, session or None)

    def path(self, datatype: str, name: str) -> str:
        """``sub-01/ses-a/dwi/sub-01_ses-a_<name>``; an empty datatype means the unit's folder."""
        return "/".join(filter(None, (self.folder, datatype, f"{self.prefix}_{name}")))
