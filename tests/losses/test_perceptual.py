"""Perceptual loss: its networks equal the public ones, and it compares the feature maps of the named layers."""

import importlib
from types import ModuleType

import pytest
import torch
from torch import nn

from diffir.errors import WeightsError
from diffir.losses.backbones import LAYERS, VGG19, DilatedResNet50, build_backbone
from diffir.losses.perceptual import IMAGENET_MEAN, IMAGENET_STD, PerceptualLoss

WIDTH = 4
NETWORKS = {"vgg19": VGG19, "ade20k": DilatedResNet50}
EACH = pytest.mark.parametrize("name", NETWORKS)


def small(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_backbone(name, NETWORKS[name](WIDTH).state_dict(), "a file")


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std


def torchvision_models() -> ModuleType:
    try:
        return importlib.import_module("torchvision.models")
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        pytest.skip(f"no torchvision that works: {error}")


def test_vgg19_is_torchvisions_before_each_relu():
    vgg = torchvision_models().vgg
    widths = [side if side == "M" else side // 16 for side in vgg.cfgs["E"]]
    theirs, image = vgg.make_layers(widths), torch.rand(1, 3, 32, 32)
    state = {f"features.{name}": tensor for name, tensor in theirs.state_dict().items()}

    maps = build_backbone("vgg19", state, "a file")(image, ["conv1_2", "conv5_4"])

    assert torch.equal(maps["conv1_2"], theirs[:3](image))
    assert torch.equal(maps["conv5_4"], theirs[:35](image))


def test_the_levels_of_the_dilated_resnet_are_torchvisions():
    theirs = torchvision_models().resnet50(replace_stride_with_dilation=[False, True, True]).eval()
    ours = DilatedResNet50().eval()

    for name, channels in (("layer2", 256), ("layer4", 1024)):
        x = torch.rand(1, channels, 8, 8)
        ours.get_submodule(name).load_state_dict(theirs.get_submodule(name).state_dict())
        assert torch.equal(ours.get_submodule(name)(x), theirs.get_submodule(name)(x))


def test_vgg19_has_its_layers_at_the_places_of_the_public_file():
    places = VGG19(WIDTH).places

    assert [places[name] for name in ("conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4")] == [2, 7, 16, 25, 34]


def test_the_last_levels_of_the_resnet_use_dilation_instead_of_stride():
    network = DilatedResNet50(WIDTH)

    steps = {
        name: [(block.conv2.stride[0], block.conv2.dilation[0]) for block in network.get_submodule(name)]
        for name in ("layer2", "layer3", "layer4")
    }

    assert steps["layer2"] == [(2, 1)] + [(1, 1)] * 3
    assert steps["layer3"] == [(1, 1)] + [(1, 2)] * 5
    assert steps["layer4"] == [(1, 2)] + [(1, 4)] * 2


@EACH
def test_every_named_layer_can_be_compared(name):
    network, image = small(name), torch.rand(1, 3, 32, 48)

    maps = network(image, LAYERS[name])

    assert list(maps) == list(LAYERS[name])
    sides = {tuple(maps[layer].shape[2:]) for layer in LAYERS[name]}
    assert len(sides) == {"vgg19": 5, "ade20k": 2}[name]  # dilation keeps the sides of the last levels
    assert torch.equal(network(image, LAYERS[name][:1])[LAYERS[name][0]], maps[LAYERS[name][0]])


@EACH
def test_a_backbone_is_frozen_and_in_eval_mode(name):
    network = small(name)

    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@EACH
def test_a_file_of_another_network_is_refused_by_name(name):
    other = next(key for key in NETWORKS if key != name)
    with pytest.raises(WeightsError, match=f"x.pth is not {name}"):
        build_backbone(name, NETWORKS[other](WIDTH).state_dict(), "x.pth")


def test_a_file_with_a_missing_tensor_is_refused_by_its_name():
    state = VGG19(WIDTH).state_dict()
    del state["features.34.weight"]

    with pytest.raises(WeightsError, match=r"features\.34\.weight"):
        build_backbone("vgg19", state, "x.pth")


@pytest.mark.parametrize(("distance", "of"), [("l1", nn.functional.l1_loss), ("mse", nn.functional.mse_loss)])
def test_the_loss_is_the_weighted_sum_of_distances_in_normalised_features(distance, of):
    network, restored, gt = small("vgg19"), torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)

    loss = PerceptualLoss(network, {"conv1_2": 0.1, "conv3_4": 2.0}, distance)(restored, gt)

    names = ["conv1_2", "conv3_4"]
    found, expected = (network(normalised(images), names) for images in (restored, gt))
    parts = [of(found[name], expected[name]) for name in names]
    torch.testing.assert_close(loss, 0.1 * parts[0] + 2 * parts[1])


@EACH
def test_only_the_restored_image_gets_gradients_and_equal_images_have_loss_zero(name):
    loss = PerceptualLoss(small(name), dict.fromkeys(LAYERS[name], 1.0), "mse")
    restored, gt = (torch.rand(1, 3, 32, 32, requires_grad=True) for _ in range(2))

    loss(restored, gt).backward()

    assert restored.grad is not None and restored.grad.abs().sum() > 0
    assert gt.grad is None
    assert loss(gt, gt) == 0
