"""Trained networks as MONAI bundles: checked, loaded, and run over whole images.

A bundle is a folder: `configs/metadata.json` (what it is, the sha256 of its weights),
`configs/inference.json` (the network and how images are laid before it), `models/model.pt`,
`docs/README.md` (the model card).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glymph.common.errors import Fault
from glymph.common.images import read_json

MODELS = Path(__file__).parents[3] / "resources" / "models"
"""The bundles that the workflow ships."""
BATCH = 24


def folder_of(name: str, configured: str | None) -> Path:
    """The bundle that the configuration names, or the shipped one of this ``name``."""
    return Path(configured) if configured else MODELS / name


def weights_hash(folder: str | Path) -> str:
    """sha256 that the bundle's metadata state for its weights; cheap, read at every parse."""
    path = Path(folder) / "configs" / "metadata.json"
    if not path.is_file():
        raise Fault(
            "this is no MONAI bundle (no configs/metadata.json)", str(folder),
            "give the folder of a bundle, or null for the shipped one",
        )  # fmt: skip
    try:
        return read_json(path)["weights"]["sha256"]
    except (ValueError, KeyError):
        raise Fault(
            "this file does not name the weights of its bundle", path, "fetch the file again"
        ) from None


def check_weights(folder: str | Path) -> str:
    """The sha256 of a bundle's weights; raises `Fault` where they are not those of its metadata."""
    stated = weights_hash(folder)
    weights = Path(folder) / "models" / "model.pt"
    found = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "missing"
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

        2D networks see each slice along z; windows of ``window`` voxels are blended where they
        overlap, or the whole image, padded to the ``size`` of training, is seen at once where
        ``window`` is null. Runs in float32:
        the same on every machine to rounding.
        """
        import torch

        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(image, np.float32))
            if self.settings["network_def"]["dims"] == 2:
                out = self._run(x.permute(3, 0, 1, 2)).permute(1, 2, 3, 0)
            else:
                out = self._run(x[None])[0]
        return out.numpy()

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
    from monai.bundle import ConfigParser

    folder = Path(folder)
    stated = check_weights(folder)
    torch.set_num_threads(threads)
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    net = parser.get_parsed_content("network_def")
    net.load_state_dict(
        torch.load(folder / "models" / "model.pt", map_location="cpu", weights_only=True)
    )
    net.eval()
    metadata = read_json(folder / "configs" / "metadata.json")
    settings = {
        key: parser.get(key) for key in ("network_def", "window", "overlap", "size", "voxel_mm")
    }
    return Bundle(net, settings, f"{metadata['name']} {metadata['version']} ({stated[:12]})")
