"""Networks run over whole images, from bundles whose weights are checked first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glymph.common.errors import Fault, brief
from glymph.networks.bundle import PLANES, check_weights, folder_of, settings_of, title_of

BATCH = 24
LEAST = 1e-6
"""Probability below which one plane alone cannot speak against the others."""


@dataclass
class Bundle:
    """A network ready to run, and ``others`` of its kind that were trained to see what it does not.

    ``settings``: configs/inference.json; ``title`` names the bundle.
    """

    net: object
    settings: dict
    title: str
    others: Sequence[object] = ()

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities (classes, x, y, z) float32 of ``image`` (channels, x, y, z).

        2D networks see every slice of every plane in ``planes``, and their logits are averaged over
        planes, or their results where these are ``shares`` of a voxel: a tube that is a dot in one
        is a line in another (Roy 2019, 10.1016/j.neuroimage.2018.11.042). Windows of ``window``
        voxels are blended where they overlap, or the whole image, padded to the ``size`` of
        training, is seen at once where ``window`` is null. Runs in float32: the same on every
        machine to rounding. The ``others`` are not asked: see `alone`.
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

    def alone(self) -> list[Bundle]:
        """Each of the networks by itself, this one first."""
        return [replace(self, net=net, others=()) for net in (self.net, *self.others)]

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


def open_bundle(role: str, configured: str | None, threads: int) -> Bundle:
    """The network for a task, a key of `glymph.networks.bundle.ROLES`: the ``configured`` bundle or
    the shipped one. Raises as `load_bundle` does."""
    return load_bundle(folder_of(role, configured), threads, role)


def load_bundle(folder: str | Path, threads: int, role: str | None = None) -> Bundle:
    """Load a bundle after checking its weights against the sha256 of its metadata.

    Raises `Fault` for a folder that is no bundle, for weights that are not what they say, and for a
    network that cannot do the task ``role`` (`glymph.networks.bundle.ROLES`).
    """
    import torch

    folder = Path(folder)
    stated = check_weights(folder)
    weights = folder / "models" / "model.pt"
    torch.set_num_threads(threads)
    settings = settings_of(folder / "configs" / "inference.json", role)
    arguments = {k: v for k, v in settings["network_def"].items() if k != "_target_"}
    title = f"{title_of(folder / 'configs' / 'metadata.json')} ({stated[:12]})"
    if settings["network_def"]["dims"] == 2:
        title += f", {' + '.join(settings['planes'])} slices"
    first, *others = _networks(arguments, weights, settings["members"])
    return Bundle(first, settings, title, others)


def joined(members: list[dict]) -> dict:
    """The weights of several networks as those of one file."""
    if len(members) == 1:
        return members[0]
    return {f"{n}.{k}": tensor for n, own in enumerate(members) for k, tensor in own.items()}


def _networks(arguments: dict, weights: Path, count: int) -> list:
    """``count`` VBNets of these ``arguments`` with the weights of a file (`joined`), ready to
    run."""
    import torch

    from glymph.networks.vbnet import VBNet

    try:
        with torch.device("meta"):  # takes no memory, whatever the arguments ask for
            wanted = sum(tensor.numel() for tensor in VBNet(**arguments).state_dict().values())
        wanted *= count
        if 2 * wanted > weights.stat().st_size:
            raise ValueError(f"{wanted} weights are needed, more than the file can hold")
        nets = torch.nn.ModuleList(VBNet(**arguments) for _ in range(count))
        net = nets if count > 1 else nets[0]
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
    return list(nets.eval())
