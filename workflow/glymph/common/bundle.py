"""Trained networks as MONAI bundles: checked, loaded, and run over whole images.

A bundle is a folder: `configs/metadata.json` (what it is, the sha256 of its weights),
`configs/inference.json` (the network and how images are laid before it), `models/model.pt`,
`docs/README.md` (the model card). A bundle may come from anywhere: it is read as data, and nothing
in it is executed. MONAI's own parser would run any function that a configuration names.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glymph.common.errors import BadInput, Fault, brief, short
from glymph.common.images import read_sidecar
from glymph.common.provenance import file_hash

MODELS = Path(__file__).parents[3] / "resources" / "models"
"""The bundles that the workflow ships."""
BATCH = 24
LEAST = 1e-6
"""Probability below which one plane alone cannot speak against the others."""
NETWORK = "glymph.common.vbnet.VBNet"
"""The only network that a bundle may name."""
USED = ("network_def", "window", "overlap", "size", "voxel_mm")
"""Keys of configs/inference.json; "planes" too, where a 2D network sees others than axial ones,
"channels" where it sees others than T1w and T2w, and "shares" where its result is one."""
CHANNELS = ("t1w", "t2w", "lines")
"""What the network of perivascular spaces may see, in this order: see `glymph.epvs.segment`."""
_CHOICES = (list(CHANNELS[:2]), list(CHANNELS))
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


def settings_hash(folder: str | Path) -> str:
    """Short fingerprint of how a bundle's network is run. Raises `Fault` where nothing says it."""
    path = Path(folder) / "configs" / "inference.json"
    _settings(path)
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


@dataclass
class Bundle:
    """A network ready to run. ``settings``: configs/inference.json; ``title`` names the bundle."""

    net: object
    settings: dict
    title: str

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities (classes, x, y, z) float32 of ``image`` (channels, x, y, z).

        2D networks see every slice of every plane in ``planes``, and their logits are averaged over
        planes, or their results where these are ``shares`` of a voxel: a tube that is a dot in one
        is a line in another (Roy 2019, 10.1016/j.neuroimage.2018.11.042). Windows of ``window``
        voxels are blended where they overlap, or the whole image, padded to the ``size`` of
        training, is seen at once where ``window`` is null. Runs in float32: the same on every
        machine to rounding.
        """
        import torch

        if self.settings["network_def"]["dims"] == 2:
            views = [self.in_slices(image, plane) for plane in self.settings["planes"]]
            if len(views) == 1 or self.settings["shares"]:
                return np.mean(views, axis=0)
            return _agreed(views)
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(image[None], np.float32))
            return self._run(batch)[0].numpy()

    def in_slices(self, image: np.ndarray, plane: str = "axial") -> np.ndarray:
        """As `probabilities`, by a 2D network that sees the slices of one plane only."""
        import torch

        order = PLANES[plane]
        slices = np.moveaxis(image.transpose(0, *(1 + axis for axis in order)), -1, 0)
        with torch.inference_mode():
            out = self._run(torch.from_numpy(np.ascontiguousarray(slices, np.float32))).numpy()
        return np.moveaxis(out, 0, -1).transpose(0, *(1 + np.argsort(order)))

    def _run(self, batch):
        import torch
        from monai.inferers import sliding_window_inference

        if self.settings["window"]:
            logits = [
                sliding_window_inference(
                    part, self.settings["window"], BATCH, self.net,
                    overlap=self.settings["overlap"], mode="gaussian", padding_mode="constant",
                    cval=-1.0,
                )
                for part in torch.split(batch, 8)
            ]  # fmt: skip
            return torch.softmax(torch.cat(logits), dim=1)
        pad = [_around(n, least) for n, least in zip(batch.shape[2:], self.settings["size"],
                                                     strict=True)]  # fmt: skip
        flat = [edge for pair in reversed(pad) for edge in pair]
        logits = self.net(torch.nn.functional.pad(batch, flat, value=-1.0))
        inner = [slice(low, low + n) for (low, _), n in zip(pad, batch.shape[2:], strict=True)]
        return torch.softmax(logits, dim=1)[(..., *inner)]


def _agreed(views: list[np.ndarray]) -> np.ndarray:
    """The probabilities (classes first) whose logits are the mean of those of ``views``."""
    together = np.exp(np.mean([np.log(np.maximum(view, LEAST)) for view in views], axis=0))
    return together / together.sum(axis=0)


def _around(length: int, least: int) -> tuple[int, int]:
    """Padding before and after that makes a side a multiple of 16 and as long as in training.

    On both sides alike: a network that sees whole heads knows where their middle should be.
    """
    wanted = max(least, length + -length % 16)
    return (wanted - length) // 2, wanted - length - (wanted - length) // 2


def load_bundle(folder: str | Path, threads: int) -> Bundle:
    """Load a bundle after checking its weights against the sha256 of its metadata.

    Raises `Fault` for a folder that is no bundle and for weights that are not what they say.
    """
    import torch

    folder = Path(folder)
    stated = check_weights(folder)
    weights = folder / "models" / "model.pt"
    torch.set_num_threads(threads)
    settings = _settings(folder / "configs" / "inference.json")
    arguments = {k: v for k, v in settings["network_def"].items() if k != "_target_"}
    title = f"{_title(folder / 'configs' / 'metadata.json')} ({stated[:12]})"
    if settings["network_def"]["dims"] == 2:
        title += f", {' + '.join(settings['planes'])} slices"
    return Bundle(_network(arguments, weights), settings, title)


def _sidecar(path: Path) -> dict:
    """A JSON file of the bundle; a bundle that cannot be read is no fault of any subject."""
    try:
        return read_sidecar(path)
    except BadInput as problem:
        raise Fault(problem.stop.reason, problem.stop.file, problem.stop.cure) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _title(path: Path) -> str:
    metadata = _sidecar(path)
    words = [metadata.get("name"), metadata.get("version")]
    if not all(isinstance(word, str) and word.isprintable() for word in words):
        raise Fault("it states no name and version", path, "see any shipped bundle")
    return short(" ".join(words))


def _settings(path: Path) -> dict:
    """What of configs/inference.json is used, checked; the network judges its own arguments."""
    given = _sidecar(path)
    network, overlap, step = (given.get(key) for key in ("network_def", "overlap", "voxel_mm"))
    if not isinstance(network, dict) or network.get("_target_") != NETWORK:
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
    else:
        return {key: given.get(key) for key in USED} | {
            "planes": given.get("planes", ["axial"]),
            "channels": channels,
            "shares": given.get("shares", False),
        }
    raise Fault(wrong, path, "correct it as in the shipped bundles (resources/models)")


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


def _network(arguments: dict, weights: Path):
    """VBNet of these ``arguments`` with the ``weights`` of a file, ready to run."""
    import torch

    from glymph.common.vbnet import VBNet

    try:
        with torch.device("meta"):  # takes no memory, whatever the arguments ask for
            wanted = sum(tensor.numel() for tensor in VBNet(**arguments).state_dict().values())
        if 2 * wanted > weights.stat().st_size:
            raise ValueError(f"{wanted} weights are needed, more than the file can hold")
        net = VBNet(**arguments)
        # weights_only: no pickled code is run; mmap: a small file does not unpack to a large one.
        state = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
        net.load_state_dict(state)
        if not all(torch.isfinite(tensor).all() for tensor in net.state_dict().values()):
            raise ValueError("weights that are not finite")
    except MemoryError:
        raise
    except Exception as error:  # torch has no kind of its own for a foreign or damaged file
        raise Fault(
            f"these are no weights of the network in configs/inference.json ({brief(error)})",
            weights, "save the state_dict of the network with torch.save",
        ) from None  # fmt: skip
    return net.eval()
