"""The keys of an option file: a frozen dataclass for each section, a field for each key, a sentence under each field.

Keys are BasicSR's where they mean the same, and allowed ranges are declared on the fields. ``diffir.config_file`` reads
YAML into these objects once; no other code handles options as dictionaries. Steps are optimiser steps, and sizes are
in pixels of the ground truth.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from diffir.config_losses import GanConfig, PerceptualConfig, TargetsConfig
from diffir.errors import ConfigError
from diffir.field_ranges import Above, EachIn, NotEmpty, Within, check_fields
from diffir.losses.foreign import check_losses
from diffir.metrics.table import METRICS


@dataclass(frozen=True)
class NetworkConfig:
    """The network: a row of the system's table, and the settings in which it differs from that row."""

    task: str
    """Name of a row in the system's table of networks."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Network settings that replace those of the row; the system checks their types."""


@dataclass(frozen=True)
class PhotosConfig:
    """Clean photos, and the low-quality images or the masks that belong to them."""

    dataroot_gt: str
    """Clean photos: a folder, an LMDB (a folder ending in .lmdb), a shard (.tar) or a folder of shards."""
    meta_info_file: str | None = None
    """Text file with the names of the photos to use, one a line, relative to dataroot_gt; all photos if not given."""
    recursive: bool = False
    """Also read the folders inside the folders named here."""
    dataroot_lq: str | None = None
    """Low-quality images of the clean photos, in any form that dataroot_gt may have; matched by name."""
    filename_tmpl: str = "{}"
    """Name of a low-quality image without suffix, where {} is the name of the clean photo: "{}x4" for 0001x4.png."""
    dataroot_mask: str | None = None
    """Masks for inpainting, in any form that dataroot_gt may have; each sample gets one, resized to its size."""
    mask_is_white: Literal["missing", "keep"] = "missing"
    """Meaning of white (128 to 255) in the masks: the missing region, or the part to keep."""

    def __post_init__(self) -> None:
        check_fields(self)
        _check_template(self)


def _check_template(photos: PhotosConfig) -> None:
    """Refuse a template without exactly one placeholder for the name."""
    if photos.filename_tmpl.count("{}") != 1 or photos.filename_tmpl.count("{") != 1:
        raise ConfigError(f"filename_tmpl needs one {{}}, such as {{}}x4, got {photos.filename_tmpl!r}")


def _check_degradation(photos: PhotosConfig, degradation: tuple[dict[str, Any], ...]) -> None:
    """Refuse options that name two sources of low-quality images."""
    if photos.dataroot_lq is not None and degradation:
        raise ConfigError(
            "dataroot_lq and degradation exclude each other: the images of dataroot_lq are degraded already; drop one"
        )
    if photos.dataroot_lq is not None and photos.dataroot_mask is not None:
        raise ConfigError("dataroot_lq and dataroot_mask exclude each other: masks need clean photos; drop one")


@dataclass(frozen=True)
class TeacherConfig:
    """A trained network that the run imitates: its outputs replace the clean patches as targets (distillation).

    It restores a fixed number of degraded patches before the first step. The results are kept on disk, under a hash of
    the teacher and of each degraded patch, and later runs find them there.
    """

    file: str
    """The name of a network, or a file of weights: of diffir, of a method's authors, or one that spandrel loads."""
    patches: Annotated[int, Above(0)] = 2000
    """Number of different patches, each of the largest patch size of the run; training goes through them in rounds."""
    share: Annotated[float, Within(0, 1)] = 1.0
    """Share of the samples whose target is the teacher's output; the target of the others is the clean patch."""
    licence: str = ""
    """Licence of the teacher's weights, for the card of the student; the card of published weights names it."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class TrainSetConfig(PhotosConfig):
    """Training photos, and how patches are cut from them and degraded."""

    gt_size: Annotated[int, Above(0)] = 128
    """Side of the square patch, a multiple of what the network needs."""
    view_size: Annotated[int, Above(0)] = 256
    """Side of the view of a photo that stands for a whole one, for networks that read a thumbnail besides a patch."""
    batch_size_per_gpu: Annotated[int, Above(0)] = 8
    num_worker_per_gpu: Annotated[int, Within(0)] = 0
    """Number of processes that read samples; 0 reads in the training process."""
    use_hflip: bool = True
    use_rot: bool = True
    """Turn patches by 90 degrees and mirror them at the diagonal, at random."""
    gray_prob: Annotated[float, Within(0, 1)] = 0.0
    """Share of the samples whose clean photo is made grey (BT.601) before it is degraded."""
    cache_images: bool = False
    """Keep decoded photos in the memory of every reading process: 0.8 MB for a photo of 512 x 512."""
    degradation: tuple[dict[str, Any], ...] = ()
    """Steps that turn a clean image into a low-quality one, in order."""
    teacher: TeacherConfig | None = None
    """Network whose outputs are the targets, in training and in validation; none if not given."""

    def __post_init__(self) -> None:
        check_fields(self)
        _check_template(self)
        _check_degradation(self, self.degradation)
        if not self.degradation and self.dataroot_lq is None and self.dataroot_mask is None:
            raise ConfigError(
                "degradation is empty: name at least one step, such as gaussian_noise, or dataroot_lq or dataroot_mask"
            )
        if self.gray_prob and self.dataroot_lq is not None:
            raise ConfigError(
                "gray_prob is for photos that are degraded here; dataroot_lq names degraded ones: drop it"
            )
        if self.teacher is not None and self.dataroot_mask is not None:
            raise ConfigError("teacher and dataroot_mask exclude each other: teachers restore photos without holes")


@dataclass(frozen=True)
class ValSetConfig(PhotosConfig):
    """Validation photos and how they are degraded."""

    gt_size: Annotated[int | None, Above(0)] = 256
    """Side of the square that is cut from the middle; null: the whole photo."""
    degradation: tuple[dict[str, Any], ...] = ()
    """Steps that degrade the photos; the steps of training if not given."""

    def __post_init__(self) -> None:
        check_fields(self)
        _check_template(self)
        _check_degradation(self, self.degradation)


@dataclass(frozen=True)
class DatasetsConfig:
    """Training photos, and validation photos if there are any."""

    train: TrainSetConfig
    val: ValSetConfig | None = None


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser of all trained parameters."""

    type: Literal["Adam", "AdamW"] = "AdamW"
    lr: Annotated[float, Above(0)] = 2e-4
    weight_decay: Annotated[float, Within(0)] = 0.0
    betas: Annotated[tuple[float, float], EachIn(0, 1)] = (0.9, 0.99)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class SchedulerConfig:
    """Schedule of the learning rate over the steps of a phase."""

    type: Literal["Cosine", "MultiStepLR", "Constant"] = "Cosine"
    eta_min: float = 1e-6
    """Cosine: learning rate at the end of the phase."""
    milestones: tuple[int, ...] = ()
    """MultiStepLR: steps, counted from the start of the phase, at which the learning rate is multiplied by gamma."""
    gamma: float = 0.5


@dataclass(frozen=True)
class TrainConfig:
    """Training settings of one stage."""

    total_iter: Annotated[int, Above(0)] = 100_000
    optim_g: OptimConfig = OptimConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    warmup_iter: Annotated[int, Within(0)] = 0
    """Steps over which the learning rate rises from 0 at the start of each phase."""
    ema_decay: Annotated[float, EachIn(0, 1)] = 0.999
    """Share of the old weights in the moving average that is validated and published; 0 keeps no average."""
    grad_clip: Annotated[float, Within(0)] = 0.0
    """Largest L2 norm of the gradient; 0 does not clip."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 runs the networks under autocast; weights and losses stay in fp32."""
    channels_last: bool = False
    compile: bool = False
    """Compile the networks with torch.compile: minutes at the start, then faster steps; results differ in last bits."""
    checkpoint_activations: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, a third more time."""
    accum_iter: Annotated[int, Above(0)] = 1
    """Number of batches whose gradients are averaged into one step."""
    max_nonfinite: Annotated[int, Within(0)] = 10
    """Steps in a row that may be skipped because a gradient is not finite; the next such step stops the run."""
    collapse_margin: Annotated[float, Within(0)] = 0.0
    """Largest fall of the first validation metric below its best; after a larger one the run returns to the best
    weights at half the learning rate. 0 switches this off."""
    patience: Annotated[int, Within(0)] = 0
    """Early stopping: validations in a row without a better score after which the stage ends; 0 switches this off."""
    publish: Literal["last", "best"] = "last"
    """Weights that the stage publishes: the last ones, or those with the best validation score."""
    pixel_weight: Annotated[float, Within(0)] = 1.0
    """Weight of the L1 loss between restored and clean image."""
    perceptual: PerceptualConfig | None = None
    """Loss in the features of a pretrained network; none if not given."""
    gan: GanConfig | None = None
    """Discriminator and adversarial losses; none if not given."""
    losses: dict[str, Any] = field(default_factory=dict)
    """Losses of other packages by name, each with its weight and its options: {NAME: {weight: 0.1}}."""
    targets: TargetsConfig = field(default_factory=TargetsConfig)
    """Target images of the losses, and the weights of known and missing region."""
    iters: Annotated[tuple[int, ...], EachIn(1, math.inf)] = ()
    """Progressive patches: number of steps with each of ``gt_sizes``; the sum is total_iter."""
    gt_sizes: Annotated[tuple[int, ...], EachIn(0, math.inf)] = ()
    """Sides of the patches; 0 for steps that see thumbnails of whole photos alone, which only train a prior."""
    mini_batch_sizes: Annotated[tuple[int, ...], EachIn(1, math.inf)] = ()
    own: Any = None
    """Keys that only the system has, as ``System.training_options``. In a file they stand among the other keys."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_losses(self.losses)
        if not len(self.iters) == len(self.gt_sizes) == len(self.mini_batch_sizes):
            raise ConfigError("iters, gt_sizes and mini_batch_sizes need the same length")
        if self.iters and sum(self.iters) != self.total_iter:
            raise ConfigError(f"iters add up to {sum(self.iters)}, total_iter is {self.total_iter}")


@dataclass(frozen=True)
class PathConfig:
    """Folder of all runs, and the weights that a run starts from."""

    experiments_root: str = "experiments"
    start: dict[str, str] = field(default_factory=dict)
    """Weights that the run starts from: a name or file for each part of the system, such as {diffusion: photo}."""
    pretrain_network_g: str | None = None
    """BasicSR's key for ``start: {prior: ...}``: stage-1 weights for a run that starts at stage 2; for stage 1, weights
    of either stage to start from."""
    strict_load_g: bool = True
    """False: the first stage may differ in settings from the weights it starts from, and takes the tensors that fit."""
    pretrain_network_s2: str | None = None
    """Key of earlier versions for ``start: {diffusion: ...}``: stage-2 weights to continue from in stage 2, or in
    stage 3 on its own; if not given, stage 2 starts from the stage-1 weights, or anew for a network without a prior."""


@dataclass(frozen=True)
class ValConfig:
    """Validation settings during training."""

    val_freq: Annotated[int, Within(0)] = 5000
    """Steps between validations; 0 validates only at the start and at the end of each stage."""
    metrics: Annotated[tuple[str, ...], NotEmpty()] = ("psnr", "ssim")
    save_images: Annotated[int, Within(0)] = 2
    """Number of restored validation photos that are written at each validation."""
    strip_pixels: Annotated[int, Within(0)] = 0
    """Size of the strips in which photos are restored, in pixels of lq: less memory, same result; 0: automatic."""

    def __post_init__(self) -> None:
        check_fields(self)
        usable = [name for name, metric in METRICS.items() if metric.needs_nothing_else]
        for name in self.metrics:
            if name not in usable:
                reason = "needs more than two images" if name in METRICS else "is no metric"
                raise ConfigError(f"metrics: {name} {reason}; in training: {', '.join(usable)}")


@dataclass(frozen=True)
class LoggerConfig:
    """Log and training states that a run writes."""

    print_freq: Annotated[int, Above(0)] = 100
    """Steps between records of the log."""
    save_checkpoint_freq: Annotated[int, Above(0)] = 5000
    """Steps between saved training states."""
    keep_checkpoints: Annotated[int, Above(0)] = 2
    """Number of training states that are kept; older ones are deleted."""
    use_tb_logger: bool = True
    """Write TensorBoard files beside the log if tensorboard is installed."""
    loggers: tuple[str, ...] = ()
    """Loggers of other packages that follow the run, by the names of their entry points (docs/extending.md)."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class RunConfig:
    """All options of a training run."""

    name: str
    """Name of the run's folder under ``path.experiments_root``."""
    network_g: NetworkConfig
    datasets: DatasetsConfig
    system: str = "diffir"
    """Name of the system that is trained."""
    stages: dict[str, TrainConfig] = field(default_factory=dict)
    """Training settings by stage name, for every stage of the system."""
    run_stages: tuple[str, ...] = ()
    """Stages that run, in the system's order; each starts from the weights of the one before."""
    manual_seed: Annotated[int, Within(0)] = 0
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    val: ValConfig = ValConfig()
    logger: LoggerConfig = LoggerConfig()
    path: PathConfig = PathConfig()
    licence: str = ""
    """Licence of the weights, written into their header."""
    training_data: str = ""
    """Description of the training images, written into the header of the weights."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.name or self.name in (".", "..") or "/" in self.name or "\\" in self.name:
            raise ConfigError(f"name must be the name of a folder, without / and \\, got {self.name!r}")
        order = [stage for stage in self.stages if stage in self.run_stages]
        if not self.run_stages or list(self.run_stages) != order:
            known = ", ".join(f"{number} ({stage})" for number, stage in enumerate(self.stages, 1))
            raise ConfigError(
                f"stages must be some of {known} in this order, got {', '.join(self.run_stages) or 'none'}"
            )

    def number(self, stage: str) -> int:
        """Return the place of a stage in its system, counted from 1; file names and seeds depend on it."""
        return list(self.stages).index(stage) + 1
