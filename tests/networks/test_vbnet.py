"""The VB-Net against published parameter counts, and its bundles against tampering."""

import json
import shutil

import numpy as np
import pytest
import torch

from glymph.common.errors import Fault
from glymph.networks import bundle, run
from glymph.networks.vbnet import VBNet
from glymph.train.bundle import write_bundle


@pytest.mark.parametrize(
    "dims, inputs, classes, bottleneck, parameters",
    [
        (3, 1, 4, "1-3-1", 2_169_592),
        (2, 2, 2, "1-3-1", 1_028_880),
        (3, 1, 4, "3-3-3", 8_665_848),
        (2, 2, 2, "3-3-3", 3_027_728),
    ],
)
def test_parameter_counts_are_the_published_ones(dims, inputs, classes, bottleneck, parameters):
    net = VBNet(dims, inputs, classes, bottleneck=bottleneck)
    assert sum(p.numel() for p in net.parameters()) == parameters


@pytest.mark.parametrize("dims", [2, 3])
def test_output_has_the_size_of_the_input(dims):
    image = torch.zeros(1, 1, *[32] * dims)
    assert VBNet(dims, 1, 3, base=4)(image).shape == (1, 3, *[32] * dims)


def test_sides_must_be_multiples_of_the_stride():
    with pytest.raises(ValueError, match="multiples of 16"):
        VBNet(2, 1, 2, base=4)(torch.zeros(1, 1, 32, 30))


@pytest.mark.parametrize("name", ["brain", "regions", "epvs"])
def test_shipped_bundle_is_whole_and_small(name):
    loaded = run.load_bundle(bundle.folder_of(name, None), threads=1)
    folder = bundle.MODELS / name
    assert (folder / "models" / "model.pt").stat().st_size < 25e6
    assert len((folder / "docs" / "README.md").read_text().split()) > 150
    assert loaded.title.startswith(f"glymph-{name} ")


def test_a_bundle_made_before_the_network_moved_still_runs(tmp_path):
    folder = shutil.copytree(bundle.MODELS / "brain", tmp_path / "brain")
    settings = folder / "configs" / "inference.json"
    settings.write_text(settings.read_text().replace(bundle.NETWORK, "glymph.common.vbnet.VBNet"))
    assert run.load_bundle(folder, threads=1).settings["network_def"]["dims"] == 3


def test_changed_weights_are_refused(tmp_path):
    folder = tmp_path / "brain"
    shutil.copytree(bundle.MODELS / "brain", folder)
    weights = folder / "models" / "model.pt"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(Fault, match="not those that the bundle's metadata name"):
        run.load_bundle(folder, threads=1)


def test_a_folder_that_is_no_bundle_is_named(tmp_path):
    with pytest.raises(Fault, match="no MONAI bundle") as error:
        run.load_bundle(tmp_path, threads=1)
    assert str(error.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("role", "other", "why"),
    [
        ("brain", "regions", "classes is not 2"),
        ("regions", "brain", "classes is not 4"),
        ("regions", "epvs", "dims is not 3, inputs is not 1"),
        ("epvs", "brain", "dims is not 2"),
    ],
)
def test_the_network_of_another_task_is_refused(role, other, why):
    """Centrum semiovale for a brain, and no word about it, is what would come of it."""
    folder = bundle.MODELS / other
    with pytest.raises(Fault, match=f"no network for {role}: .*{why}"):
        run.open_bundle(role, str(folder), 1)
    with pytest.raises(Fault, match=f"no network for {role}"):
        bundle.settings_hash(folder, role)
    assert run.open_bundle(role, None, 1).title.startswith(f"glymph-{role} ")


def slices_of(*planes):
    """Settings of a 2D network that sees these planes."""
    return {
        "network_def": {"dims": 2}, "planes": planes, "window": [16, 16], "overlap": 0.25,
        "shares": False,
    }  # fmt: skip


@pytest.mark.parametrize(("plane", "along", "across"), [("axial", 0, 1), ("coronal", 0, 2),
                                                        ("sagittal", 1, 2)])  # fmt: skip
def test_every_plane_is_seen_along_its_own_axes(plane, along, across):
    class Slopes(torch.nn.Module):
        """Logits that tell the slope along the rows and, ten times as strong, the columns."""

        def forward(self, x):
            rows, columns = torch.gradient(x[:, 0], dim=(1, 2))
            return torch.stack([torch.zeros_like(rows), rows + 10 * columns], dim=1)

    image = np.zeros((2, 14, 12, 9), np.float32)
    x, y, z = np.meshgrid(*map(np.arange, image.shape[1:]), indexing="ij")
    image[0] = 0.01 * x + 0.02 * y + 0.04 * z
    slope = np.array([0.01, 0.02, 0.04])
    logit = slope[along] + 10 * slope[across]
    inner = (slice(1, -1),) * 3
    # The windows are padded with -1, so the rims say something else.
    found = run.Bundle(Slopes(), slices_of(plane), "test").probabilities(image)[1]
    np.testing.assert_allclose(found[inner], 1 / (1 + np.exp(-logit)), atol=1e-5)
    whole = run.Bundle(Slopes(), slices_of("axial", "coronal", "sagittal"), "test")
    views = np.array([whole.in_slices(image, name)[1] for name in bundle.PLANES])
    logits = np.log(views / (1 - views)).mean(axis=0)
    np.testing.assert_allclose(whole.probabilities(image)[1], 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_windows_of_a_2d_network_cover_every_slice():
    class Middle(torch.nn.Module):
        """Logits that tell whether a pixel is bright: windows must not change them."""

        def forward(self, x):
            return torch.cat([-x[:, :1], x[:, :1]], dim=1)

    net = run.Bundle(Middle(), slices_of("axial", "coronal", "sagittal"), "test")
    image = np.random.default_rng(1).standard_normal((2, 30, 25, 7)).astype(np.float32)
    found = net.probabilities(image)
    assert found.shape == (2, 30, 25, 7)
    np.testing.assert_allclose(found[1], 1 / (1 + np.exp(-2 * image[0])), atol=1e-5)


class Level(torch.nn.Module):
    """Logits of one share everywhere."""

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, x):
        one = torch.full_like(x[:, :1], self.logit)
        return torch.cat([0 * one, one], dim=1)


def test_of_several_networks_each_can_be_asked_alone():
    settings = slices_of("axial") | {"shares": True}
    both = run.Bundle(Level(-1.0), settings, "test", [Level(2.0)])
    image = np.zeros((2, 18, 17, 16), np.float32)
    levels = [one.probabilities(image)[1].mean() for one in both.alone()]
    np.testing.assert_allclose(levels, 1 / (1 + np.exp([1.0, -2.0])), atol=1e-5)
    assert both.probabilities(image)[1].mean() == pytest.approx(levels[0])
    assert all(len(one.alone()) == 1 for one in both.alone())


def test_a_bundle_of_two_networks_is_read_as_two(tmp_path):
    nets = [VBNet(2, 3, 2, base=4).eval() for _ in range(2)]
    settings = {"network": {"dims": 2, "inputs": 3, "classes": 2, "base": 4}, "shares": True}
    write_bundle("epvs", [net.state_dict() for net in nets], settings, tmp_path, "a command")
    loaded = run.load_bundle(tmp_path, 1, "epvs")
    assert loaded.settings["members"] == 2 and len(loaded.others) == 1
    image = torch.zeros(1, 3, 32, 32)
    for mine, theirs in zip(nets, (loaded.net, *loaded.others), strict=True):
        assert torch.equal(mine(image), theirs(image))
    write_bundle("epvs", [nets[0].state_dict()], settings, tmp_path / "one", "a command")
    assert not run.load_bundle(tmp_path / "one", 1).others


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": 0}, "members is not from 1"),
        ({"members": True}, "members is not from 1"),
        ({"members": "2"}, "members is not from 1"),
        ({"members": 2, "shares": False}, "members is not from 1"),
        ({"members": 3}, "no weights of the network"),
        ({"members": 1}, "no weights of the network"),
    ],
)
def test_a_bundle_with_another_number_of_networks_is_refused(tmp_path, change, message):
    net = VBNet(2, 3, 2, base=4).state_dict()
    settings = {"network": {"dims": 2, "inputs": 3, "classes": 2, "base": 4}, "shares": True}
    write_bundle("epvs", [net, net], settings, tmp_path, "a command")
    path = tmp_path / "configs" / "inference.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Fault, match=message):
        run.load_bundle(tmp_path, 1)


def test_whole_images_of_a_3d_network_are_padded_and_cut_back():
    settings = {"network_def": {"dims": 3}, "window": None, "overlap": 0.0, "size": [32, 32, 32]}
    net = run.Bundle(VBNet(3, 1, 3, base=4).eval(), settings, "test")
    found = net.probabilities(np.zeros((1, 20, 33, 16), np.float32))
    assert found.shape == (3, 20, 33, 16)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


def test_padding_is_the_same_on_both_sides():
    class Where(torch.nn.Module):
        """Logits that grow with the distance from the middle of what the network sees."""

        def forward(self, x):
            axes = [torch.arange(n) - (n - 1) / 2 for n in x.shape[2:]]
            far = sum(a.abs() for a in torch.meshgrid(*axes, indexing="ij"))
            return torch.stack([torch.zeros_like(far), far])[None]

    settings = {"network_def": {"dims": 3}, "window": None, "overlap": 0.0, "size": [48, 32, 32]}
    found = run.Bundle(Where(), settings, "x").probabilities(np.zeros((1, 20, 30, 34)))[1]
    np.testing.assert_allclose(found, found[::-1, ::-1, ::-1], atol=1e-6)


def test_metadata_name_the_training_command():
    for name in ("brain", "regions", "epvs"):
        text = (bundle.MODELS / name / "configs" / "metadata.json").read_text()
        assert "snakemake train" in json.loads(text)["training"]["command"]
