"""The networks of LPIPS, DISTS and FID equal torchvision's, layer by layer."""

from types import ModuleType

import pytest
import torch
from torch import nn

from diffir.errors import WeightsError
from diffir.metrics import features, inception
from diffir.metrics.features import load_features, maps

EACH = pytest.mark.parametrize(
    ("name", "ours", "taps"),
    [
        ("alexnet", features.alexnet, features.ALEXNET_TAPS),
        ("vgg16", features.vgg16, features.VGG16_TAPS),
        ("squeezenet1_1", features.squeezenet, features.SQUEEZENET_TAPS),
    ],
)
BLOCKS = {
    "InceptionA": ((192, 32), inception.fine_block(192, 32)),
    "InceptionB": ((288,), inception.to_middle()),
    "InceptionC": ((768, 128), inception.middle_block(128)),
    "InceptionD": ((768,), inception.to_coarse()),
    "InceptionE": ((1280,), inception.SplitBlock(1280, inception.mean_pool)),
}


def convolutions(models: ModuleType, name: str) -> nn.Sequential:
    """Build a network with random weights; VGG16 without its classifier, which would take seconds."""
    return models.vgg.make_layers(models.vgg.cfgs["D"]) if name == "vgg16" else getattr(models, name)().features


@EACH
def test_maps_are_those_of_torchvision(name, ours, taps, torchvision_models, tmp_path):
    theirs = convolutions(torchvision_models, name)
    torch.save({f"features.{key}": tensor for key, tensor in theirs.state_dict().items()}, tmp_path / "x.pth")
    image = torch.rand(1, 3, 66, 50)  # sides at which pooling must round as torchvision's does

    layers = load_features(ours(), tmp_path / "x.pth")

    assert len(layers) == taps[-1] + 1
    for place, found in zip(taps, maps(layers, taps, image), strict=True):
        assert torch.equal(found, theirs[: place + 1](image))


@pytest.mark.parametrize("name", BLOCKS)
def test_inception_blocks_are_torchvisions_but_for_the_edge_of_the_mean(name, torchvision_models):
    arguments, ours = BLOCKS[name]
    theirs = getattr(torchvision_models.inception, name)(*arguments).eval()
    ours.eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(1, arguments[0], 9, 9)

    with torch.no_grad():
        found, expected = ours(x), theirs(x)

    inside = (..., slice(1, -1), slice(1, -1)) if found.shape[2] == 9 else ...
    torch.testing.assert_close(found[inside], expected[inside])


def test_the_stem_of_inception_is_torchvisions(torchvision_models):
    ours = inception.InceptionV3().eval()
    theirs = torchvision_models.Inception3(num_classes=8, aux_logits=False, init_weights=False).eval()
    theirs.load_state_dict(ours.state_dict(), strict=False)
    seen: list[torch.Tensor] = []
    for network in (ours, theirs):
        network.Mixed_5b.register_forward_pre_hook(lambda _, given: seen.append(given[0]))

    with torch.no_grad():
        ours(torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(0)))
        theirs(torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(0)))

    torch.testing.assert_close(*seen)
    assert set(theirs.state_dict()) - set(ours.state_dict()) == {"fc.weight", "fc.bias"}


def test_pooling_of_inception_leaves_out_what_lies_beyond_the_edge():
    ones = torch.ones(1, 1, 4, 4)

    assert torch.equal(inception.mean_pool(ones), ones)


def test_the_last_block_of_inception_pools_by_the_largest_value():
    network = inception.InceptionV3()

    assert network.Mixed_7b.pool is inception.mean_pool
    assert network.Mixed_7c.pool is inception.largest_pool


@EACH
def test_a_file_of_another_network_is_refused_by_name(name, ours, taps, tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")

    with pytest.raises(WeightsError, match=r"other\.pth is another file than expected: 0\.weight"):
        load_features(ours(), tmp_path / "other.pth")
