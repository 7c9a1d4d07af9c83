"""What a MONAI bundle, the folder of a trained network, says; all checked, and no torch needed.

A bundle is a folder: `configs/metadata.json` (what it is, the sha256 of its weights),
`configs/inference.json` (the network and how images are laid before it), `models/model.pt`,
`docs/README.md` (the model card). A bundle may come from anywhere: it is read as data, and nothing
in it is executed. MONAI's own parser would run any function that a configuration names.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from glymph.common.errors import BadInput, Fault, short
from glymph.common.provenance import file_hash
from glymph.common.sidecars import read_sidecar

MODELS = Path(__file__).parents[3] / "resources" / "models"
"""The bundles that the workflow ships."""
NETWORK = "glymph.networks.vbnet.VBNet"
NAMES = (NETWORK, "glymph.common.vbnet.VBNet")
"""Names of the only network that a bundle may name; the last is where it was before."""
USED = ("network_def", "window", "overlap", "size", "voxel_mm")
"""Keys of configs/inference.json; "planes" too, where a 2D network sees others than axial ones,
"channels" where it sees others than T1w and T2w, "shares" where its result is one, and "members"
where several networks of shares run, of which the first counts where it sees enough
(`glymph.epvs.segment.supplemented`)."""
MOST_MEMBERS = 4
CHANNELS = ("t1w", "t2w", "lines")
"""What the network of perivascular spaces may see, in this order: see `glymph.epvs.segment`."""
_CHOICES = (list(CHANNELS[:2]), list(CHANNELS))
ROLES = {
    "epvs": {"dims": 2, "classes": 2},
    "regions": {"dims": 3, "inputs": 1, "classes": 4},
    "brain": {"dims": 3, "inputs": 1, "classes": 2},
}
"""What a network must be to do each of the workflow's tasks: another one's would run as well."""
PLANES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
"""Axes (x, y, z) of a volume as a 2D network sees them: two within the slice, one across."""
LONGEST = 512
"""Voxels along a side of what the network sees at once."""


def folder_of(name: str, configured: str | None) -> Path:
    """The bundle that the configuration names, or the shipped one of this ``name``."""
    return Path(configured) if configured else MODELS / name


def weights_hash(folder: str | Path) -> str:
    """sha256 that the bundle's metadata state for its weights; cheap, read at every parse.

    Raises `Fault`.
    """
    path = Path(folder) / "configs" / "metadata.json"
    if not path.is_file():
        raise Fault(
            "this is no MONAI bundle (no configs/metadata.json)", str(folder),
            "give the folder of a bundle, or null for the shipped one",
        )  # fmt: skip
    weights = _sidecar(path).get("weights")
    stated = weights.get("sha256") if isinstance(weights, dict) else None
    if not isinstance(stated, str) or not re.fullmatch("[0-9a-f]{64}", stated):
        raise Fault("it states no sha256 of the weights", path, "see any shipped bundle")
    return stated


def settings_hash(folder: str | Path, role: str) -> str:
    """Short fingerprint of how a bundle's network is run. Raises `Fault` where nothing says it, and
    for a network that cannot do the task ``role``, a key of `ROLES`."""
    path = Path(folder) / "configs" / "inference.json"
    settings_of(path, role)
    return file_hash(path)


def check_weights(folder: str | Path) -> str:
    """The sha256 of a bundle's weights; raises `Fault` where they are not those of its metadata."""
    stated = weights_hash(folder)
    weights = Path(folder) / "models" / "model.pt"
    found = _sha256(weights) if weights.is_file() else "missing"
    if found != stated:
        raise Fault(
            f"the weights are not those that the bundle's metadata name (sha256 {found[:12]}, "
            f"stated {stated[:12]})", str(weights),
            "fetch the file again (git checkout, or git lfs pull if you keep it there)",
        )  # fmt: skip
    return stated


def _sidecar(path: Path) -> dict:
    """A JSON file of the bundle; a bundle that cannot be read is no fault of any subject."""
    try:
        return read_sidecar(path)
    except BadInput as problem:
        raise Fault(problem.stop.reason, problem.stop.file, problem.stop.cure) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def title_of(path: Path) -> str:
    metadata = _sidecar(path)
    words = [metadata.get("name"), metadata.get("version")]
    if not all(isinstance(word, str) and word.isprintable() for word in words):
        raise Fault("it states no name and version", path, "see any shipped bundle")
    return short(" ".join(words))


def settings_of(path: Path, role: str | None = None) -> dict:
    """What of configs/inference.json is used, checked; the network judges its own arguments.

    With a ``role``, a key of `ROLES`, it must be a network for it.
    """
    given, cure = _sidecar(path), "correct it as in the shipped bundles (resources/models)"
    network, overlap, step = (given.get(key) for key in ("network_def", "overlap", "voxel_mm"))
    if not isinstance(network, dict) or network.get("_target_") not in NAMES:
        wrong = f"network_def._target_ is not {NETWORK}"
    elif network.get("dims") not in (2, 3):
        wrong = "network_def.dims is neither 2 nor 3"
    elif not _are_sides(given.get("window") or given.get("size"), network["dims"]):
        wrong = "window, or size where window is null, has not one multiple of 16 per dimension"
    elif not isinstance(overlap, (int, float)) or not 0 <= overlap <= 0.9:
        wrong = "overlap is not from 0 to 0.9"
    elif not _are_planes(given.get("planes", ["axial"])):
        wrong = f"planes is not a list of some of {', '.join(PLANES)}"
    elif not isinstance(step, (int, float)) or not 0.2 <= step <= 10:
        wrong = "voxel_mm is not from 0.2 to 10"
    elif (channels := given.get("channels", list(CHANNELS[:2]))) not in _CHOICES:
        wrong = f"channels is not a list of the first two or three of {', '.join(CHANNELS)}"
    elif network["dims"] == 2 and network.get("inputs") != len(channels):
        wrong = f"network_def.inputs is not the number of channels, {len(channels)}"
    elif not isinstance(given.get("shares", False), bool):
        wrong = "shares is neither true nor false"
    elif not _are_members(given.get("members", 1), given):
        wrong = f"members is not from 1 to {MOST_MEMBERS}, or above 1 for a network without shares"
    elif role and (unlike := _unlike(role, network)):
        wrong = f"this is no network for {role}: {unlike}"
        cure = "name a bundle that was trained for this task, or null for the shipped one"
    else:
        return {key: given.get(key) for key in USED} | {
            "planes": given.get("planes", ["axial"]),
            "channels": channels,
            "shares": given.get("shares", False),
            "members": given.get("members", 1),
        }
    raise Fault(wrong, path, cure)


def _unlike(role: str, network: dict) -> str:
    """What of a network is not as its ``role`` wants it; empty where all is."""
    wanted = ROLES[role].items()
    return ", ".join(f"{key} is not {value}" for key, value in wanted if network.get(key) != value)


def _are_members(count, given: dict) -> bool:
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_MEMBERS:
        return False
    return count == 1 or (given.get("shares") is True and given["network_def"]["dims"] == 2)


def _are_sides(sides, dims: int) -> bool:
    return (
        isinstance(sides, list)
        and len(sides) == dims
        and all(isinstance(n, int) and n in range(16, LONGEST + 1, 16) for n in sides)
    )


def _are_planes(names) -> bool:
    return (
        isinstance(names, list)
        and len(names) > 0
        and all(isinstance(name, str) and name in PLANES for name in names)
        and len(set(names)) == len(names)
    )
