"""Translate upstream's section ``train``: optimisers, losses, and the learning rates that are actually in effect.

In: sections of the file. Out: our section ``train``. For deblurring and real-world tasks, upstream's code overwrites
the learning rate of its schedule at every step. Milestones here count from the start of the phase.
"""

from diffir.errors import ConfigError
from diffir.systems.diffir.released_options.take import Section, kept, only, section, take

_TORCH_BETAS = [0.9, 0.999]  # of upstream, if a file does not set them


def training(left: Section, stage: int, task: str) -> Section:
    """Translate the section ``train`` of a stage; ``left`` is the whole file, because ``network_d`` is needed, too.

    Raises:
        ConfigError: a loss or a schedule is not supported here.
    """
    # Steps and learning rates.
    given = section(left, "train")
    total = take(given, "total_iter")
    if not isinstance(total, int):
        raise ConfigError(f"train.total_iter must be a whole number, got {total!r}")
    ours: Section = {"total_iter": total, "ema_decay": take(given, "ema_decay", 0)}  # upstream's default is no average
    ours["warmup_iter"] = max(0, take(given, "warmup_iter", 0))  # BasicSR writes -1 for none
    ours["optim_g"] = _optimiser(section(given, "optim_g"))
    ours |= _schedule(given, stage, task, total)
    if "lr_sr" in ours:
        ours["optim_g"]["lr"] = ours.pop("lr_sr")

    # Losses.
    ours["pixel_weight"] = _loss_weight(given, "pixel_opt", "L1Loss", default=0.0)
    if stage > 1:
        ours["prior_weight"] = _loss_weight(given, "kd_opt", "KDLoss", default=1.0)
        take(section(given, "kd_opt"), "temperature")  # it belongs to the divergence, which is only logged
    if given.get("perceptual_opt"):
        ours |= _perceptual(section(given, "perceptual_opt"))
    if given.get("gan_opt"):
        ours["gan"] = _gan(left, given)
    return ours


def _schedule(given: Section, stage: int, task: str, total: int) -> Section:
    """Translate the learning rates that are in effect, also where upstream overwrites those of its schedule."""
    # The schedule of the file is in effect.
    ours: Section = {"scheduler": _scheduler(section(given, "scheduler"))}
    encoder_iter = int(take(given, "encoder_iter", 0)) if stage == 2 else 0
    if stage == 1 or task.startswith("sr_") or given.get("lr_sr") is None:
        ours["encoder_iter"] = encoder_iter
        if encoder_iter and ours["scheduler"]["type"] == "MultiStepLR":  # ours count from the start of the phase
            ours["encoder_scheduler"] = dict(ours["scheduler"])
            ours["scheduler"]["milestones"] = [m - encoder_iter for m in ours["scheduler"]["milestones"]]
        return ours

    # The learning rates are overwritten: the first phase and the joint phase have keys of their own.
    if encoder_iter:
        ours["encoder_iter"], ours["encoder_lr"] = encoder_iter, take(given, "lr_encoder")
        ours["encoder_scheduler"] = _every(
            take(given, "lr_decay_encoder", encoder_iter), encoder_iter, take(given, "gamma_encoder", 1.0)
        )
    joint = total - encoder_iter
    ours["scheduler"] = _every(take(given, "lr_decay_sr", joint), joint, take(given, "gamma_sr", 1.0))
    return ours | {"lr_sr": take(given, "lr_sr")}


def _every(steps: float, stop: int, gamma: float) -> Section:
    """A schedule that multiplies the learning rate by gamma every ``steps`` steps, before step ``stop``."""
    return {"type": "MultiStepLR", "milestones": list(range(int(steps), stop, int(steps))), "gamma": gamma}


def _scheduler(given: Section) -> Section:
    kind = str(take(given, "type"))
    if kind == "MultiStepLR":
        return {"type": kind, "milestones": take(given, "milestones", []), "gamma": take(given, "gamma", 0.1)}
    if kind.startswith(("Cosine", "TrueCosine")):
        floors = take(given, "eta_mins", [take(given, "eta_min", 0.0)])
        return {"type": "Cosine", "eta_min": floors[-1]}
    raise ConfigError(f"train.scheduler.type {kind} is not supported here; known: MultiStepLR and BasicSR's Cosine...")


def _optimiser(given: Section) -> Section:
    return {"type": "Adam", "betas": list(_TORCH_BETAS), **kept(given, "type", "lr", "weight_decay", "betas")}


def _loss_weight(given: Section, key: str, kind: str, *, default: float) -> float:
    if not given.get(key):
        return default
    loss = section(given, key)
    only(loss, f"train.{key}", "type", kind)
    only(loss, f"train.{key}", "reduction", "mean")
    return float(take(loss, "loss_weight", 1.0))


def _perceptual(given: Section) -> Section:
    for key, value in {
        "type": "PerceptualLoss",
        "vgg_type": "vgg19",
        "use_input_norm": True,
        "range_norm": False,
        "style_weight": 0,
    }.items():
        only(given, "train.perceptual_opt", key, value)
    weight, criterion = take(given, "perceptual_weight", 1.0), take(given, "criterion", "l1")
    if criterion not in ("l1", "l2", "mse"):
        raise ConfigError(f"train.perceptual_opt.criterion {criterion!r} is not supported here; known: l1, l2")
    ours = {
        "network": "vgg19",
        "weight": weight,
        "criterion": "l1" if criterion == "l1" else "mse",
        **kept(given, "layer_weights"),
    }
    return {"perceptual": ours} if weight else {}


def _gan(left: Section, given: Section) -> Section:
    loss, network = section(given, "gan_opt"), section(left, "network_d")
    for key, value in {"type": "GANLoss", "gan_type": "vanilla", "real_label_val": 1, "fake_label_val": 0}.items():
        only(loss, "train.gan_opt", key, value)
    only(network, "network_d", "type", "UNetDiscriminatorSN")
    only(network, "network_d", "num_in_ch", 3)
    only(network, "network_d", "skip_connection", True)
    only(given, "train", "net_d_iters", 1)
    only(given, "train", "net_d_init_iters", 0)
    optimiser = _optimiser(section(given, "optim_d"))
    if optimiser.pop("type") != "Adam":
        raise ConfigError("train.optim_d.type must be Adam here")
    return {"network": "unet_sn", "weight": take(loss, "loss_weight", 1.0), **kept(network, "num_feat"), **optimiser}
