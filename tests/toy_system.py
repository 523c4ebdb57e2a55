"""The smallest system: one convolution, one stage, one option of its own. It shows everything a system must have."""

from dataclasses import dataclass, field

from torch import nn

from diffir.inference.whole import restore_whole
from diffir.metrics.protocol import Protocol
from diffir.system import Facts, Learner, Losses, NetworkRow, Phase, System, without_prior


@dataclass(frozen=True)
class ToyOptions:
    gain: float = field(default=1.0, metadata={"help": "factor of the output"})


class ToyEngine:
    seed_meaning, description, tile_step, least_overlap, passes = "seed", "one convolution", 1, 2, 1
    has_prior = False
    estimate_prior = check_prior = without_prior

    def __init__(self, network, device, options):
        self.network, self.device, self.gain, self.facts = network, device, options.gain, Facts()

    def to(self, device):
        self.device, self.network = device, self.network.to(device)

    def largest_tile(self, height, width, batch):
        return None

    def open(self, photos, *, seed, prior, tile, precision):
        return self

    def restore(self, region, write, precision, on_progress):
        write(0, self.gain * self.network(region.rows(0, region.height).to(self.device)))

    def in_use(self, precision):
        return {"gain": self.gain}

    def multiply_adds(self, side):
        return self.network.weight.numel() * side**2


class ToyStage:
    name, part, discriminator = "kernel", "kernel", None

    def __init__(self, network, config):
        self.network = network
        learner = Learner("g", list(network.parameters()), config.optim_g, config.scheduler)
        self.phases = [Phase("all", 0, config.total_iter, [learner])]
        self.extra_modules, self.draw_noise, self.keep_activations = list, lambda lq, generator: (), bool

    def losses(self, batch, phase, noise):
        l1 = (self.network(batch.lq) - batch.gt).abs().mean()
        yield Losses(l1, {"l_pix": l1})

    def restore(self, network, lq, gt):
        return restore_whole(ToyEngine(network, network.weight.device, ToyOptions()), lq, seed=0)

    def further_scores(self, metric, own, mean_of):
        return {}


class ToySystem(System):
    name, stages, usual_stages, restoring_part = "toy", ("kernel",), ("kernel",), "kernel"
    restore_options = ToyOptions

    def row(self, network):
        return NetworkRow(network.task, "one convolution", {"side": 3, **network.settings}, Facts(), Protocol())

    def facts(self, settings):
        return Facts()

    def build(self, settings, part):
        return nn.Conv2d(3, 3, settings["side"], padding="same", padding_mode="reflect")

    def engine(self, network, device, precision, options):
        return ToyEngine(network.eval().requires_grad_(False), device, options)

    def stage(self, name, start):
        return ToyStage(self.build(self.row(start.config.network_g).settings, name), start.config.stages[name])
