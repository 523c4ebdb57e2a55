"""What an option file may say of losses beyond L1: perceptual, adversarial, and what they compare with.

Sections ``perceptual``, ``gan`` and ``targets`` of ``train``, ``stage2`` and ``stage3``. The two first are off unless
they are there; ``perceptual: {}`` and ``gan: {}`` are the settings of DiffIR's adversarial stage of super-resolution.
"""

from dataclasses import dataclass, field

from diffir.errors import ConfigError
from diffir.losses.backbones import LAYERS, BackboneName
from diffir.losses.discriminators import DiscriminatorName
from diffir.losses.perceptual import Distance

_DISTANCES: dict[BackboneName, Distance] = {"vgg19": "l1", "ade20k": "mse"}
_LAYER_WEIGHTS: dict[BackboneName, dict[str, float]] = {
    "vgg19": {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0},
    "ade20k": dict.fromkeys(LAYERS["ade20k"], 1.0),
}


def _refuse_negative(section: object, *names: str) -> None:
    for name in names:
        if getattr(section, name) < 0:
            raise ConfigError(f"{name} must be 0 or more, got {getattr(section, name)}")


@dataclass(frozen=True)
class PerceptualConfig:
    """Distance in the features of a pretrained network."""

    network: BackboneName = "vgg19"
    """vgg19 of ImageNet, or the dilated ResNet50 of ADE20K."""
    weight: float = 1.0
    layer_weights: dict[str, float] = field(default_factory=dict)
    """Layer -> weight; DiffIR's when not given: 0.1, 0.1, 1, 1, 1 of the last convolution of VGG's levels, 1 each of
    ADE20K's four."""
    criterion: Distance | None = None
    """l1 or mse; l1 for vgg19 and mse for ade20k when not given."""
    backbone: str | None = None
    """Weights of the network; looked for in the cache folders when not given. Without them the loss is left out."""
    download: bool = False
    """Fetch the weights when they are nowhere: 550 MB for vgg19, 95 MB for ade20k."""

    def __post_init__(self) -> None:
        _refuse_negative(self, "weight")
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
        """The layers to compare and their weights."""
        return self.layer_weights or _LAYER_WEIGHTS[self.network]

    @property
    def distance(self) -> Distance:
        """How two maps are compared."""
        return self.criterion or _DISTANCES[self.network]


@dataclass(frozen=True)
class GanConfig:
    """A discriminator that learns beside the network, and what the network gets from it."""

    network: DiscriminatorName = "unet_sn"
    """unet_sn judges pixels (super-resolution), patch judges patches (inpainting)."""
    num_feat: int = 64
    """First width of the discriminator."""
    weight: float = 1.0
    """Weight of being taken for real: softplus of the negative logit, which is both "vanilla" and "non-saturating"."""
    feature_matching: float = 0.0
    """Weight of the squared distance of the discriminator's inner maps; 0: none."""
    r1: float = 0.0
    """Weight of the penalty on the discriminator's slope at clean images; 0: none."""
    lr: float = 1e-4
    """Learning rate of the discriminator (Adam), on the schedule of the network's."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    pretrain_network_d: str | None = None
    """Discriminator to start from, released or ours; fresh when not given."""

    def __post_init__(self) -> None:
        _refuse_negative(self, "weight", "feature_matching", "r1", "weight_decay")
        if self.num_feat < 1 or self.lr <= 0:
            raise ConfigError(f"num_feat and lr must be above 0, got {self.num_feat} and {self.lr}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must lie in [0, 1), got {list(self.betas)}")


@dataclass(frozen=True)
class TargetsConfig:
    """What the losses compare a restored image with."""

    l1_gt_usm: bool = False
    """L1 asks for the sharpened clean image (unsharp masking)."""
    percep_gt_usm: bool = False
    """So does the perceptual loss."""
    gan_gt_usm: bool = False
    """The discriminator is shown sharpened images as real."""
    prior_gt_usm: bool = False
    """CPEN of stage 1 sees the sharpened clean image."""
    known_weight: float = 1.0
    """Inpainting: weight of L1 where the image was known."""
    hole_weight: float = 1.0
    """Inpainting: weight of L1 inside the holes."""

    def __post_init__(self) -> None:
        _refuse_negative(self, "known_weight", "hole_weight")
