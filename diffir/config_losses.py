"""Options of the losses beyond L1: the perceptual loss, the adversarial loss, and the target images of all losses.

These are the sections ``perceptual``, ``gan`` and ``targets`` of ``train``, ``stage2`` and ``stage3``. The first two
losses are off unless their section is given; ``perceptual: {}`` and ``gan: {}`` are the settings of DiffIR's
adversarial stage of super-resolution.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from diffir.errors import ConfigError
from diffir.field_ranges import Above, EachIn, Within, check_fields
from diffir.losses.backbones import LAYERS
from diffir.losses.discriminators import DiscriminatorName
from diffir.losses.perceptual import Distance

PerceptualName = Literal["vgg19", "ade20k", "lpips"]
_DISTANCES: dict[PerceptualName, Distance] = {"vgg19": "l1", "ade20k": "mse"}
_LAYER_WEIGHTS: dict[PerceptualName, dict[str, float]] = {
    "vgg19": {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0},
    "ade20k": dict.fromkeys(LAYERS["ade20k"], 1.0),
}


@dataclass(frozen=True)
class PerceptualConfig:
    """Perceptual loss: the distance between images in the features of a pretrained network."""

    network: PerceptualName = "vgg19"
    """vgg19 is trained on ImageNet; ade20k is the dilated ResNet50 trained on ADE20K; lpips is LPIPS with SqueezeNet,
    whose weights ship with the package, and takes a weight alone."""
    weight: Annotated[float, Within(0)] = 1.0
    layer_weights: dict[str, float] = field(default_factory=dict)
    """Weight of each layer. If not given, DiffIR's: 0.1, 0.1, 1, 1, 1 for the last convolutions of VGG's five levels,
    and 1 for each of the four levels of ade20k."""
    criterion: Distance | None = None
    """Distance between features, l1 or mse; if not given, l1 for vgg19 and mse for ade20k."""
    backbone: str | None = None
    """File with the weights of the network; if not given, the cache folders are searched. Without the weights,
    training goes on without this loss."""
    download: bool = False
    """Download the weights of vgg19 (550 MB) if no file is found. Those of ade20k have no published checksum, so they
    are taken only from ``backbone``."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.network == "lpips":
            given = [name for name in ("layer_weights", "criterion", "backbone", "download") if getattr(self, name)]
            if given:
                raise ConfigError(f"{given[0]} is for vgg19 and ade20k: lpips has its own layers, distance and weights")
            return
        unknown = [name for name in self.layer_weights if name not in LAYERS[self.network]]
        if unknown:
            raise ConfigError(
                f"no layers {', '.join(unknown)} in {self.network}; known: {', '.join(LAYERS[self.network])}"
            )
        for name, weight in self.layer_weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
                raise ConfigError(f"layer_weights: {name} must be a number, 0 or more, got {weight!r}")

    @property
    def layers(self) -> dict[str, float]:
        """Names of the compared layers of a backbone and their weights."""
        return self.layer_weights or _LAYER_WEIGHTS[self.network]

    @property
    def distance(self) -> Distance:
        """Distance between the features of two images."""
        return self.criterion or _DISTANCES[self.network]


@dataclass(frozen=True)
class GanConfig:
    """A discriminator that is trained beside the network, and the losses that the network gets from it."""

    network: DiscriminatorName = "unet_sn"
    """unet_sn classifies each pixel (super-resolution), patch classifies patches (inpainting), detail classifies
    small patches by their fine detail alone, for results that are too soft."""
    num_feat: Annotated[int, Above(0)] = 64
    """Channels of the discriminator's first layer."""
    weight: Annotated[float, Within(0)] = 1.0
    """Weight of the adversarial loss: softplus of the negative logit, known as "vanilla" and as "non-saturating"."""
    feature_matching: Annotated[float, Within(0)] = 0.0
    """Weight of the squared distance between the discriminator's features; 0 leaves this loss out."""
    grid: Annotated[float, Within(0)] = 0.0
    """Weight of a loss against the regular grid that networks that enlarge learn under a discriminator; 0 leaves it
    out."""
    r1: Annotated[float, Within(0)] = 0.0
    """Weight of the R1 penalty on the discriminator's gradient at clean images; 0 leaves it out."""
    lr: Annotated[float, Above(0)] = 1e-4
    """Learning rate of the discriminator (Adam); it follows the schedule of the network's learning rate."""
    betas: Annotated[tuple[float, float], EachIn(0, 1)] = (0.9, 0.99)
    weight_decay: Annotated[float, Within(0)] = 0.0
    pretrain_network_d: str | None = None
    """File of a discriminator to start from, released or trained here; random weights if not given."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class TargetsConfig:
    """Target images of the losses, and the weights of known and missing region."""

    l1_gt_usm: bool = False
    """The L1 loss compares with the ground truth sharpened by unsharp masking."""
    percep_gt_usm: bool = False
    """The perceptual loss compares with the sharpened ground truth."""
    gan_gt_usm: bool = False
    """The discriminator gets sharpened images as real ones."""
    prior_gt_usm: bool = False
    """CPEN of stage 1 gets the sharpened ground truth."""
    known_weight: Annotated[float, Within(0)] = 1.0
    """Inpainting: weight of the L1 loss outside the missing region."""
    hole_weight: Annotated[float, Within(0)] = 1.0
    """Inpainting: weight of the L1 loss inside the missing region."""

    def __post_init__(self) -> None:
        check_fields(self)
