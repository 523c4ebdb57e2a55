"""LPIPS gives the authors' values with each network."""

from types import ModuleType

import numpy as np
import pytest
import torch

from diffir.errors import ImageError, WeightsError
from diffir.image_io import read_image
from diffir.metrics import features
from diffir.metrics.lpips import (
    ALEXNET_WIDTHS,
    LPIPS,
    VGG16_WIDTHS,
    PerceptualDistance,
    load_alexnet,
    load_vgg16,
    squeezenet_distance,
)
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import measure

RNG = np.random.default_rng(0)
X, Y = (RNG.integers(0, 256, (48, 64, 3)).astype(float) for _ in range(2))
LAYERS = {"squeeze": features.squeezenet, "alex": features.alexnet, "vgg": features.vgg16}
TAPS = {"squeeze": features.SQUEEZENET_TAPS, "alex": features.ALEXNET_TAPS, "vgg": features.VGG16_TAPS}
SMALLEST = {"squeeze": 17, "alex": 31, "vgg": 16}


@pytest.mark.parametrize(("name", "value"), [("ex_p0", 0.7112), ("ex_p1", 0.1479)])
def test_the_authors_example_images_get_their_values(shared, name, value):
    restored, gt = (read_image(shared / "data" / "weights" / f"{image}.png").pixels for image in (name, "ex_ref"))

    scores = measure(restored, gt, ["lpips"], Protocol(), data_range=255)

    assert scores["lpips"] == pytest.approx(value, abs=5e-5)


@pytest.fixture
def no_classifiers(monkeypatch):
    """Leave the classifiers of torchvision's networks uninitialised, since drawing VGG16's takes seconds."""
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda self: None)
    monkeypatch.setattr(torch.nn.init, "normal_", lambda tensor, mean=0.0, std=1.0: tensor)


@pytest.mark.filterwarnings("ignore:.*weights:UserWarning:torchvision.*")
@pytest.mark.parametrize("net", LAYERS)
def test_scores_equal_the_authors_package(net: str, lpips: ModuleType, no_classifiers):
    theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)  # random features, the authors' linear layers
    layers = LAYERS[net]()
    layers.load_state_dict({name.split(".", 1)[1]: tensor for name, tensor in theirs.net.state_dict().items()})
    linear = [theirs.state_dict()[f"lin{n}.model.1.weight"] for n in range(len(TAPS[net]))]
    ours = LPIPS(PerceptualDistance(layers, TAPS[net], linear), smallest=1, device="cpu")

    images = (torch.from_numpy(image.transpose(2, 0, 1)[None] / 127.5 - 1).float() for image in (X, Y))
    with torch.no_grad():
        assert ours(X, Y) == pytest.approx(float(theirs(*images)), rel=1e-5)


@pytest.mark.parametrize(
    ("net", "backbone", "load", "widths"),
    [("alex", "alexnet", load_alexnet, ALEXNET_WIDTHS), ("vgg", "vgg16", load_vgg16, VGG16_WIDTHS)],
)
def test_public_files_are_read_as_they_are(net, backbone, load, widths, tmp_path):
    paths = {name: tmp_path / f"{name}.pth" for name in (backbone, f"lpips_{net}")}
    state = {f"features.{name}": tensor for name, tensor in LAYERS[net]().state_dict().items()}
    torch.save({"classifier.6.bias": torch.zeros(9)} | state, paths[backbone])
    linear = {f"lin{n}.model.1.weight": torch.ones(1, width, 1, 1) for n, width in enumerate(widths)}
    torch.save(linear, paths[f"lpips_{net}"])

    score = load(paths, "cpu")

    assert score(X, X) == 0
    assert score(X, Y) > score((X + Y) / 2, Y) > 0


@pytest.mark.parametrize("net", LAYERS)
def test_the_smallest_image_is_the_smallest_there_is(net):
    layers = LAYERS[net]()
    linear = [
        torch.ones(1, found.shape[1], 1, 1) for found in features.maps(layers, TAPS[net], torch.rand(1, 3, 64, 64))
    ]
    score = LPIPS(PerceptualDistance(layers, TAPS[net], linear), smallest=SMALLEST[net], device="cpu")
    side = SMALLEST[net]

    assert score(X[:side, :side], Y[:side, :side]) > 0
    with pytest.raises(ImageError, match=f"LPIPS needs {side} x {side} pixels"):
        score(X[: side - 1], Y[: side - 1])
    with pytest.raises(RuntimeError):  # and torch agrees that less cannot be
        list(features.maps(layers, TAPS[net], torch.rand(1, 3, side - 1, side - 1)))


def test_linear_layers_of_another_network_are_refused(tmp_path):
    torch.save({"lin0.model.1.weight": torch.ones(1, 64, 1, 1)}, tmp_path / "x.pth")
    torch.save({f"features.{k}": t for k, t in features.alexnet().state_dict().items()}, tmp_path / "alexnet.pth")

    with pytest.raises(WeightsError, match=r"x\.pth is another file than expected: lin1\.model\.1\.weight"):
        load_alexnet({"alexnet": tmp_path / "alexnet.pth", "lpips_alex": tmp_path / "x.pth"}, "cpu")


def test_the_network_that_ships_learns_nothing():
    assert not any(parameter.requires_grad for parameter in squeezenet_distance().parameters())


def test_the_distance_is_a_loss_whose_gradient_is_finite_even_for_equal_images():
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    black = torch.zeros(2, 3, 32, 32)

    distances = squeezenet_distance()(torch.cat([images, black]), torch.cat([black, black]))
    distances.sum().backward()

    assert distances.shape == (4,) and distances[2] == 0 < distances[0]
    assert torch.isfinite(images.grad).all() and images.grad.abs().sum() > 0
