"""Networks whose features the perceptual loss compares: VGG19, and the dilated ResNet50 for segmentation of ADE20K.

In: images (B, 3, H, W) RGB, normalised with the statistics of ImageNet. Out: feature maps by layer name. Module names
are those of the public weight files (torchvision's ``features.*``; the encoder of MIT's semantic segmentation), so that
these can be loaded; the number of channels of the first layer is read from the file. Source: Simonyan and Zisserman,
ICLR 2015; He et al., CVPR 2016; Yu et al., CVPR 2017.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from diffir.errors import WeightsError

BackboneName = Literal["vgg19", "ade20k"]

_VGG_CONVS = (2, 2, 4, 4, 4)  # number of convolutions in each level, after which comes a pooling
_VGG_WIDTHS = (1, 2, 4, 8, 8)  # channels of each level as multiples of the first one's
_RESNET_BLOCKS = (3, 4, 6, 3)  # number of blocks in each level
_RESNET_EXPANSION = 4  # output channels of a block as a multiple of its inner ones


class VGG19(nn.Module):
    """The convolutions of VGG19; the feature maps are those before the ReLU."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.places: dict[str, int] = {}
        given = 3
        for level, (convs, factor) in enumerate(zip(_VGG_CONVS, _VGG_WIDTHS, strict=True), start=1):
            for number in range(1, convs + 1):
                self.places[f"conv{level}_{number}"] = len(layers)
                layers += [nn.Conv2d(given, factor * width, 3, padding=1), nn.ReLU()]
                given = factor * width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.ModuleList(layers[: self.places["conv5_4"] + 1])

    def forward(self, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        wanted = {self.places[name]: name for name in names}
        maps = {}
        for place, layer in enumerate(self.features[: max(wanted) + 1]):
            x = layer(x)
            if place in wanted:
                maps[wanted[place]] = x
        return maps


class Bottleneck(nn.Module):
    """Bottleneck block of ResNet: 1x1, 3x3 and 1x1 convolutions, to which the shortcut is added."""

    def __init__(self, given: int, width: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        made = width * _RESNET_EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(given, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, made, 1, bias=False), nn.BatchNorm2d(made)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or given != made:
            self.downsample = nn.Sequential(nn.Conv2d(given, made, 1, stride, bias=False), nn.BatchNorm2d(made))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class DilatedResNet50(nn.Module):
    """ResNet50 with a stem of three convolutions, whose last two levels use dilation instead of stride."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 2, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width)
        # Each level has a stride, and a dilation for its first block and one for its other blocks.
        strides, dilations = (1, 2, 1, 1), ((1, 1), (1, 1), (1, 2), (2, 4))
        given = 2 * width
        for level, blocks in enumerate(_RESNET_BLOCKS):
            inner, (first, rest) = width * 2**level, dilations[level]
            chain = [Bottleneck(given, inner, stride=strides[level], dilation=first)]
            given = inner * _RESNET_EXPANSION
            chain += [Bottleneck(given, inner, dilation=rest) for _ in range(blocks - 1)]
            self.add_module(f"layer{level + 1}", nn.Sequential(*chain))

    def forward(self, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        for number in (1, 2, 3):
            x = F.relu(self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(x)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        maps = {}
        for name in LAYERS["ade20k"][: max(map(LAYERS["ade20k"].index, names)) + 1]:
            maps[name] = x = self.get_submodule(name)(x)
        return {name: maps[name] for name in names}


LAYERS: dict[BackboneName, tuple[str, ...]] = {
    "vgg19": tuple(f"conv{level}_{n}" for level, convs in enumerate(_VGG_CONVS, start=1) for n in range(1, convs + 1)),
    "ade20k": ("layer1", "layer2", "layer3", "layer4"),
}
"""Names of the layers of each network whose feature maps can be compared, first to last."""

_FIRST_WEIGHT: dict[BackboneName, str] = {"vgg19": "features.0.weight", "ade20k": "conv1.weight"}


def build_backbone(name: BackboneName, state: Mapping[str, Tensor], source: str) -> nn.Module:
    """Build the network with the weights of a public file, frozen and in eval mode; other entries are ignored.

    Args:
        state: the tensors of the file by name.
        source: the path of the file, for messages.
    Raises:
        WeightsError: a weight is missing or has another shape.
    """
    # Read the number of channels from the first weight.
    first = state.get(_FIRST_WEIGHT[name])
    if first is None or first.ndim != 4:
        raise WeightsError(f"{source} is not {name}: it holds no {_FIRST_WEIGHT[name]}; give the file of {name}")
    network: nn.Module = VGG19(len(first)) if name == "vgg19" else DilatedResNet50(len(first))
    # Check and load all weights.
    needed = network.state_dict()
    for key, ours in needed.items():
        if key.endswith("num_batches_tracked"):  # a counter of training batches, which old files do not have
            continue
        if key not in state or state[key].shape != ours.shape:
            raise WeightsError(
                f"{source} is not {name}: {key} is missing or has another shape; give the file of {name}"
            )
    network.load_state_dict({key: state[key] for key in needed if key in state}, strict=False)
    return network.eval().requires_grad_(False)
