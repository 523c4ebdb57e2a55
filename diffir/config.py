"""What an option file may say: one frozen dataclass a section, one field a key, one sentence under each.

Keys are BasicSR's where they mean the same. ``diffir.config_file`` turns YAML into these objects, once, at the border;
nobody passes dictionaries of options around. Steps are optimiser steps; pixels are pixels of the ground truth.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from diffir.config_losses import GanConfig, PerceptualConfig, TargetsConfig
from diffir.errors import ConfigError
from diffir.metrics.table import METRICS


def _require_positive(section: object, *names: str) -> None:
    """Refuse numbers that are not above 0."""
    for name in names:
        if getattr(section, name) <= 0:
            raise ConfigError(f"{name} must be above 0, got {getattr(section, name)}")


@dataclass(frozen=True)
class NetworkConfig:
    """The network: a row of the system's table, and the settings in which it differs from that row."""

    task: str
    """Name of the row."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Network settings that replace the row's; the system types them."""


@dataclass(frozen=True)
class PhotosConfig:
    """Clean photos, and the damaged partners or the masks that go with them."""

    dataroot_gt: str
    """Clean photos: a folder, an LMDB (a folder ending in .lmdb), a shard (.tar) or a folder of shards."""
    meta_info_file: str | None = None
    """Text file that names the photos to use, one a line, relative to dataroot_gt; all when not given."""
    recursive: bool = False
    """Also the folders inside the folders named here."""
    dataroot_lq: str | None = None
    """Damaged partners of the clean photos, in any form that dataroot_gt may have; joined by name."""
    filename_tmpl: str = "{}"
    """Name of a partner without suffix, {} being that of the clean photo: "{}x4" for 0001x4.png."""
    dataroot_mask: str | None = None
    """Masks for inpainting, in any form that dataroot_gt may have; a sample gets one of them, resized to it."""
    mask_is_white: Literal["missing", "keep"] = "missing"
    """What white (128 and more) means in the masks."""

    def __post_init__(self) -> None:
        _check_template(self)


def _check_template(photos: PhotosConfig) -> None:
    """Refuse a template that cannot name a file."""
    if photos.filename_tmpl.count("{}") != 1 or photos.filename_tmpl.count("{") != 1:
        raise ConfigError(f"filename_tmpl needs one {{}}, such as {{}}x4, got {photos.filename_tmpl!r}")


def _check_damage(photos: PhotosConfig, degradation: tuple[dict[str, Any], ...]) -> None:
    """Refuse two sources of damage where one is meant."""
    if photos.dataroot_lq is not None and degradation:
        raise ConfigError("dataroot_lq and degradation exclude each other: partners are damaged already; drop one")
    if photos.dataroot_lq is not None and photos.dataroot_mask is not None:
        raise ConfigError("dataroot_lq and dataroot_mask exclude each other: masks go on clean photos; drop one")


@dataclass(frozen=True)
class TrainSetConfig(PhotosConfig):
    """Photos to learn from, and how they are cut and damaged."""

    gt_size: int = 128
    """Side of the square patch, a multiple of what the network needs."""
    batch_size_per_gpu: int = 8
    num_worker_per_gpu: int = 0
    """Reading processes; 0 reads in the training process."""
    use_hflip: bool = True
    use_rot: bool = True
    """Turn by 90 degrees and mirror at the diagonal."""
    cache_images: bool = False
    """Keep decoded photos in memory, in every reading process: 0.8 MB for one of 512 x 512."""
    degradation: tuple[dict[str, Any], ...] = ()
    """Steps from clean to low quality, in order."""

    def __post_init__(self) -> None:
        _require_positive(self, "gt_size", "batch_size_per_gpu")
        _check_template(self)
        _check_damage(self, self.degradation)
        if not self.degradation and self.dataroot_lq is None and self.dataroot_mask is None:
            raise ConfigError(
                "degradation is empty: name at least one step, such as gaussian_noise, or dataroot_lq or dataroot_mask"
            )


@dataclass(frozen=True)
class ValSetConfig(PhotosConfig):
    """Held-out photos and how they are damaged."""

    gt_size: int | None = 256
    """Side of the square that is cut from the middle; null: the whole photo."""
    degradation: tuple[dict[str, Any], ...] = ()
    """Training's when not given."""

    def __post_init__(self) -> None:
        if self.gt_size is not None:
            _require_positive(self, "gt_size")
        _check_template(self)
        _check_damage(self, self.degradation)


@dataclass(frozen=True)
class DatasetsConfig:
    """Training photos, and validation photos if any."""

    train: TrainSetConfig
    val: ValSetConfig | None = None


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser of all learning parameters."""

    type: Literal["Adam", "AdamW"] = "AdamW"
    lr: float = 2e-4
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)

    def __post_init__(self) -> None:
        _require_positive(self, "lr")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must lie in [0, 1), got {list(self.betas)}")


@dataclass(frozen=True)
class SchedulerConfig:
    """Learning rate over the steps of a phase."""

    type: Literal["Cosine", "MultiStepLR", "Constant"] = "Cosine"
    eta_min: float = 1e-6
    """Cosine: the learning rate at the end."""
    milestones: tuple[int, ...] = ()
    """MultiStepLR: steps, counted from the start of the phase, at which the rate is multiplied by gamma."""
    gamma: float = 0.5


@dataclass(frozen=True)
class TrainConfig:
    """How one stage learns."""

    total_iter: int = 100_000
    optim_g: OptimConfig = OptimConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    warmup_iter: int = 0
    """Steps over which the rate rises from 0 at the start of each phase."""
    ema_decay: float = 0.999
    """Share of the old weights in the moving average that is validated and published; 0 keeps no average."""
    grad_clip: float = 0.0
    """Largest L2 norm of the gradient; 0 does not clip."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 runs the networks under autocast; weights and losses stay fp32."""
    channels_last: bool = False
    compile: bool = False
    """Compile the networks with torch.compile: minutes at the start, faster steps after; not bit for bit the same."""
    checkpoint_activations: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, a third more time."""
    accum_iter: int = 1
    """Batches whose gradients are averaged into one step."""
    max_nonfinite: int = 10
    """Steps in a row that may be skipped because a gradient is not finite; the next one stops the run."""
    collapse_margin: float = 0.0
    """How far the first metric of validation may fall below its best before the run goes back to the best weights at
    half the rate; 0 never goes back."""
    patience: int = 0
    """Validations in a row without a better score after which the stage ends; 0 never ends early."""
    publish: Literal["last", "best"] = "last"
    """Which weights the stage ends with: the last, or those with the best validation."""
    pixel_weight: float = 1.0
    """Weight of the L1 between restored and clean image."""
    perceptual: PerceptualConfig | None = None
    """Distance in the features of a pretrained network; none when not given."""
    gan: GanConfig | None = None
    """Discriminator and what the network gets from it; none when not given."""
    targets: TargetsConfig = field(default_factory=TargetsConfig)
    """What the losses compare a restored image with."""
    iters: tuple[int, ...] = ()
    """Progressive patches: how many steps each of ``gt_sizes`` lasts; the sum is total_iter."""
    gt_sizes: tuple[int, ...] = ()
    mini_batch_sizes: tuple[int, ...] = ()
    own: Any = None
    """The system's own keys of the section, as ``System.training_options``. In a file they stand among the others."""

    def __post_init__(self) -> None:
        _require_positive(self, "total_iter", "accum_iter")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")
        if min(self.warmup_iter, self.grad_clip, self.pixel_weight) < 0:
            raise ConfigError("warmup_iter, grad_clip and the weights of losses must be 0 or more")
        if min(self.max_nonfinite, self.collapse_margin, self.patience) < 0:
            raise ConfigError("max_nonfinite, collapse_margin and patience must be 0 or more")
        if not len(self.iters) == len(self.gt_sizes) == len(self.mini_batch_sizes):
            raise ConfigError("iters, gt_sizes and mini_batch_sizes need the same length")
        if self.iters and sum(self.iters) != self.total_iter:
            raise ConfigError(f"iters add up to {sum(self.iters)}, total_iter is {self.total_iter}")
        if min((*self.iters, *self.gt_sizes, *self.mini_batch_sizes), default=1) < 1:
            raise ConfigError("iters, gt_sizes and mini_batch_sizes must be 1 or more")


@dataclass(frozen=True)
class PathConfig:
    """Where runs are kept and what they start from."""

    experiments_root: str = "experiments"
    pretrain_network_g: str | None = None
    """Stage-1 weights for a run that starts at stage 2; for stage 1, weights of either stage to start from."""
    strict_load_g: bool = True
    """False: stage 1 may have other settings than ``pretrain_network_g``; it starts from what fits of its DIRformer."""
    pretrain_network_s2: str | None = None
    """Stage-2 weights that stage 2, or stage 3 on its own, goes on from; stage 2 starts from stage 1 when not given."""


@dataclass(frozen=True)
class ValConfig:
    """Validation during training."""

    val_freq: int = 5000
    """Steps between validations; 0 validates at the end of each stage alone."""
    metrics: tuple[str, ...] = ("psnr", "ssim")
    save_images: int = 2
    """How many restored validation photos are written each time."""
    strip_pixels: int = 0
    """Photos are restored in strips of so many pixels of lq: same result, less memory; 0 for what suits the device."""

    def __post_init__(self) -> None:
        usable = [name for name, metric in METRICS.items() if metric.needs_nothing_else]
        for name in self.metrics:
            if name not in usable:
                known = "needs more than two images" if name in METRICS else "is no metric"
                raise ConfigError(f"metrics: {name} {known}; in training: {', '.join(usable)}")
        if not self.metrics:
            raise ConfigError("metrics must name at least one metric")
        if min(self.val_freq, self.save_images, self.strip_pixels) < 0:
            raise ConfigError("val_freq, save_images and strip_pixels must be 0 or more")


@dataclass(frozen=True)
class LoggerConfig:
    """What is written while training."""

    print_freq: int = 100
    """Steps between records of the log."""
    save_checkpoint_freq: int = 5000
    """Steps between training states."""
    keep_checkpoints: int = 2
    """Training states that are kept; older ones are deleted."""
    use_tb_logger: bool = True
    """TensorBoard files beside the log, where tensorboard is installed."""

    def __post_init__(self) -> None:
        _require_positive(self, "print_freq", "save_checkpoint_freq", "keep_checkpoints")


@dataclass(frozen=True)
class RunConfig:
    """A whole option file."""

    name: str
    """The run's folder under ``path.experiments_root``."""
    network_g: NetworkConfig
    datasets: DatasetsConfig
    system: str = "diffir"
    """The system that is trained."""
    stages: dict[str, TrainConfig] = field(default_factory=dict)
    """Stage name -> how that stage learns, for every stage of the system."""
    run_stages: tuple[str, ...] = ()
    """Stages that run, in the system's order; each takes over from the one before by itself."""
    manual_seed: int = 0
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    val: ValConfig = ValConfig()
    logger: LoggerConfig = LoggerConfig()
    path: PathConfig = PathConfig()
    licence: str = ""
    """Licence of the weights, written into their header."""
    training_data: str = ""
    """What the weights were trained on, in words, written into their header."""

    def __post_init__(self) -> None:
        if not self.name or self.name in (".", "..") or "/" in self.name or "\\" in self.name:
            raise ConfigError(f"name must be the name of a folder, without / and \\, got {self.name!r}")
        if self.manual_seed < 0:
            raise ConfigError(f"manual_seed must be 0 or more, got {self.manual_seed}")
        order = [stage for stage in self.stages if stage in self.run_stages]
        if not self.run_stages or list(self.run_stages) != order:
            known = ", ".join(self.stages)
            raise ConfigError(f"stages must be some of {known} in this order, got {list(self.run_stages)}")

    def number(self, stage: str) -> int:
        """Place of a stage among those of its system, from 1; names of files and seeds hold it."""
        return list(self.stages).index(stage) + 1
