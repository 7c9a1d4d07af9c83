"""What the local server answers to the viewer: it reads results, and writes corrections."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path

import nibabel as nib

from glymph.common.errors import BadInput
from glymph.common.names import Unit
from glymph.review import rois, store
from glymph.review.corrections import (
    BRAIN,
    checked_rater,
    correct_brain,
    correct_epvs,
    place_of,
    present_epvs,
    save_mask,
)
from glymph.review.drawing import read_drawing
from glymph.review.pictures import RESULTS, Pictures
from glymph.review.scene import result_of, scene, versions

HERE = Path(__file__).parent / "viewer"
NIIVUE = Path(__file__).resolve().parents[3] / "resources" / "niivue" / "niivue.umd.js"
SCRIPTS = ("viewer.js", "canvas.js", "masks.js", "spaces.js", "tasks.js")
STATIC = {
    "/viewer": (HERE / "viewer.html", "text/html"),
    "/viewer/viewer.css": (HERE / "viewer.css", "text/css"),
    **{f"/viewer/{name}": (HERE / name, "text/javascript") for name in SCRIPTS},
    "/viewer/niivue.js": (NIIVUE, "text/javascript"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
LONGEST_REQUEST = 24_000_000
KINDS = ("epvs", "brain", "roi")


class Desk:
    """One output folder ``results`` with its review ``folder``."""

    def __init__(self, results: Path, folder: Path):
        self.results, self.folder = results, folder

    def scene(self, query: dict[str, str]) -> dict:
        """What the viewer shows of a unit. Raises `BadInput`."""
        unit = self._unit(query.get("unit"))
        return scene(self.results, self.folder, unit, query.get("rater", "")) | {
            "units": self._units()
        }

    def image(self, query: dict[str, str]) -> bytes:
        """An image of a unit as .nii.gz. Raises `BadInput`."""
        unit, name = self._unit(query.get("unit")), query.get("name", "")
        try:
            return Pictures(self.results, self.folder, unit).read(name)
        except KeyError:
            raise BadInput(f"there is no image '{name[:40]}'", unit.prefix) from None

    def save(self, body: bytes) -> dict:
        """Save a correction; ``body`` is JSON. With ``dry`` nothing is written.

        Returns what was written and what is to be said about it. Raises `BadInput`, and
        `store.Taken` where somebody else has saved since the page was loaded.
        """
        asked = _object(body)
        unit, rater = self._unit(asked.get("unit")), checked_rater(asked.get("rater"))
        kind, based_on = asked.get("kind"), asked.get("based_on")
        if kind not in KINDS or not isinstance(based_on, str):
            raise BadInput("kind and based_on are needed", "request", "load the page again")
        if kind == "roi":
            return self._save_rois(unit, rater, asked, based_on)
        with store.alone(self.folder):
            if asked.get("withdraw") is True:
                store.withdraw(self.folder, place_of(kind, unit), based_on)
                return self._told(kind, unit, {"file": ""}, {})
            mask = self._epvs(unit, asked) if kind == "epvs" else self._brain(unit, asked)
            if asked.get("dry") is True:
                return {"summary": mask.summary}
            done = save_mask(kind, mask, unit, self.results, self.folder, rater, based_on)
        return self._told(kind, unit, done, mask.summary)

    def _epvs(self, unit: Unit, asked: dict):
        own = Pictures(self.results, self.folder, unit)
        if "numbers" not in own.names():
            raise BadInput("no perivascular spaces were segmented here", unit.prefix)
        if asked.get("result", result_of(self.results, unit)) != result_of(self.results, unit):
            raise BadInput(
                "the workflow made this result anew since the page was loaded", unit.prefix,
                "load the page again: what is not saved is taken up there",
            )  # fmt: skip
        found = own.objects()
        start, _ = present_epvs(self.folder, unit, found)
        drawn = _drawing(asked, found.image)
        return correct_epvs(start, found, _decisions(asked), drawn)

    def _brain(self, unit: Unit, asked: dict):
        own = Pictures(self.results, self.folder, unit)
        if not own.has("anat", BRAIN) or not own.has(*RESULTS["t1w_own"]):
            raise BadInput("there is no brain mask of a T1w", unit.prefix)
        automatic = own.load("anat", BRAIN)
        drawn = _drawing(asked, automatic)
        if drawn is None:
            raise BadInput("no drawing was sent", "request", "load the page again")
        return correct_brain(automatic, own.present_brain(), drawn)

    def _save_rois(self, unit: Unit, rater: str, asked: dict, based_on: str) -> dict:
        shifts = asked.get("shifts")
        if not isinstance(shifts, dict) or not shifts:
            raise BadInput("no shifts were sent", "request", "load the page again")
        time = store.moment()
        with store.alone(self.folder):
            content = rois.with_shifts(self.folder, unit, shifts, rater, time)
            if asked.get("dry") is True:
                return {"summary": {"regions": sorted(shifts)}}
            now = versions(self.folder, unit)["roi"]
            if now["version"] != based_on:
                raise store.Taken(now)
            about = {"Rater": rater, "Time": time, "File": rois.TABLE, "Shifts": shifts}
            of_file = store.version(self.folder / rois.TABLE)
            store.save(self.folder, rois.TABLE, content, about, of_file)
            rois.read_roi_corrections(self.folder)
        done = {"file": str(self.folder / rois.TABLE), "time": time}
        return self._told("roi", unit, done, {"regions": sorted(shifts)})

    def _told(self, kind: str, unit: Unit, done: dict, summary: dict) -> dict:
        return done | {"summary": summary, "now": versions(self.folder, unit)[kind]}

    def _unit(self, prefix) -> Unit:
        """The unit whose results there are. Raises `BadInput`."""
        try:
            unit = Unit.from_prefix(prefix) if isinstance(prefix, str) else None
        except ValueError:
            unit = None
        if unit is None or unit.prefix != prefix or not (self.results / unit.folder).is_dir():
            raise BadInput("there are no results of such a subject-session", str(prefix)[:80])
        return unit

    def _units(self) -> list[str]:
        """The units with results, in the order of their names."""
        folders = [p for p in self.results.glob("sub-*") if p.is_dir()]
        found = [s for p in folders for s in ([q for q in p.glob("ses-*") if q.is_dir()] or [p])]
        return sorted("_".join(p.relative_to(self.results).parts) for p in found)


def _object(body: bytes) -> dict:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("this is no JSON", "request", "load the page again") from None
    if not isinstance(asked, dict):
        raise BadInput("this is no JSON object", "request", "load the page again")
    return asked


def _decisions(asked: dict) -> dict[int, str]:
    given = asked.get("decisions") or {}
    if not isinstance(given, dict) or not all(
        len(k) < 7 and k.isdecimal() and isinstance(v, str) for k, v in given.items()
    ):
        raise BadInput("decisions go from numbers of objects to words", "request")
    return {int(k): v[:20] for k, v in given.items()}


def _drawing(asked: dict, grid: nib.Nifti1Image):
    text = asked.get("drawing")
    if text is None:
        return None
    try:
        body = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        body = b""
    if not body:
        raise BadInput("the drawing is no base64 text", "request", "load the page again")
    return read_drawing(body, grid, "drawing")
