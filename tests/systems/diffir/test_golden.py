"""Tests against recorded intermediate results, training steps and gradients of tiny reference networks.

The recordings are not part of the repository; without them, these tests are skipped.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.layers import ChannelNorm
from diffir.systems.diffir.released import read_official
from diffir.systems.diffir.released_keys import translate_key
from tests.diffir_objects import filled_diffir

STAGE_1 = ("deblur_s1", "inpainting_s1")
STAGE_2 = ("deblur_s2", "inpainting_s2", "srgan_x4_s2", "realsr_x1_s2")


@dataclass
class Golden:
    arrays: dict[str, np.ndarray]
    network: DiffIR

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def gradient_norms(self, phase: str) -> dict[str, float]:
        names = self.arrays[f"train/{phase}grad_names"]
        keys = [translate_key(str(name), self.network.settings.cpen_blocks) for name in names]
        return dict(zip(keys, self.arrays[f"train/{phase}grad_norms"].tolist(), strict=True))

    def own_gradient_norms(self) -> dict[str, float]:
        gradients = {name: p.grad for name, p in self.network.named_parameters()}
        return {name: grad.norm().item() for name, grad in gradients.items() if grad is not None}


@pytest.fixture
def golden(request, shared) -> Golden:
    with np.load(shared / f"reference/golden/{request.param}.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    state = {name[3:]: torch.from_numpy(a) for name, a in arrays.items() if name.startswith("sd/")}
    official = read_official(state, request.param)
    return Golden(arrays, filled_diffir(official.state, official.settings, official.stage, request.param))


def assert_equal(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("golden", STAGE_1, indirect=True)
@torch.no_grad()
def test_stage_1_equals_the_reference(golden):
    prior = golden.network.oracle_prior(golden["lq"], golden["gt"])

    assert_equal(prior, golden["ipr"])
    assert_equal(golden.network.restore(golden["lq"], prior), golden["out"])


@pytest.mark.parametrize("golden", STAGE_1, indirect=True)
@torch.no_grad()
def test_stage_1_in_double_precision_equals_the_reference(golden):
    network = golden.network.double()
    prior = network.oracle_prior(golden["lq"].double(), golden["gt"].double())

    assert_equal(prior, golden["ipr_f64"], 1e-10)
    assert_equal(network.restore(golden["lq"].double(), prior), golden["out_f64"], 1e-10)


@pytest.mark.parametrize("golden", STAGE_2, indirect=True)
@torch.no_grad()
def test_stage_2_equals_the_reference_at_every_step(golden):
    network, lq, noise = golden.network, golden["lq"], golden["noise"]

    chain = network.prior_chain(lq, noise=noise)

    assert_equal(network.condition(lq), golden["condition"])
    assert_equal(torch.stack(chain), golden["ipr_steps"])
    assert_equal(network.estimate_prior(lq, noise=noise), golden["ipr"])
    assert_equal(network(lq, noise=noise), golden["out"])


@pytest.mark.parametrize("golden", STAGE_2, indirect=True)
@torch.no_grad()
def test_the_denoiser_predicts_what_the_reference_predicts(golden):
    starts = [golden["noise"], *golden["ipr_steps"][:-1]]

    predicted = [golden.network.denoiser(x, 3 - i, golden["condition"]) for i, x in enumerate(starts)]

    assert_equal(torch.stack(predicted), golden["x0_steps"])


@pytest.mark.parametrize("golden", STAGE_2, indirect=True)
@torch.no_grad()
def test_stage_2_in_double_precision_equals_the_reference(golden):
    out = golden.network.double()(golden["lq"].double(), noise=golden["noise"].double())

    assert_equal(out, golden["out_f64"], 1e-10)


def as_recorded(module: nn.Module, args: tuple, output: Tensor) -> Tensor:
    """Our norm includes the modulation, but the reference recorded norms before it."""
    if not isinstance(module, ChannelNorm):
        return output
    unmodulated = torch.ones(1, output.shape[1]), torch.zeros(1, output.shape[1])
    return module.forward(args[0], unmodulated)


@pytest.mark.parametrize("golden", STAGE_1 + STAGE_2, indirect=True)
@torch.no_grad()
def test_every_level_of_the_dirformer_equals_the_reference(golden):
    dirformer, seen = golden.network.dirformer, {}

    def record(name: str, module: nn.Module) -> None:
        module.register_forward_hook(
            lambda module, args, output: seen.update({name: as_recorded(module, args, output)})
        )

    for name in (key[4:] for key in golden.arrays if key.startswith("mid/")):
        record(name, dirformer.get_submodule(name.replace("enc1_0_", "enc1_0.").replace("enc1_0", "encoder_level1.0")))
    golden.network.restore(golden["lq"], golden["ipr"])

    assert len(seen) >= 12
    for name, output in seen.items():
        assert_equal(output[:1], golden[f"mid/{name}"])


@pytest.mark.parametrize("golden", STAGE_1, indirect=True)
def test_stage_1_gradients_equal_the_reference(golden):
    restored = golden.network.restore(golden["lq"], golden.network.oracle_prior(golden["lq"], golden["gt"]))
    loss = F.l1_loss(restored, golden["gt"])
    loss.backward()

    assert_equal(loss, golden["train/l_pix"])
    assert golden.own_gradient_norms() == pytest.approx(golden.gradient_norms(""), rel=1e-3)


def training_chain(golden: Golden) -> list[Tensor]:
    return golden.network.prior_chain(golden["lq"], noise=golden["train/noise"], teacher_prior=golden["train/iprs1"])


@pytest.mark.parametrize("golden", STAGE_2, indirect=True)
def test_a_stage_2_training_step_equals_the_reference(golden):
    chain = training_chain(golden)
    restored = golden.network.restore(golden["lq"], chain[-1])
    l_pix, l_abs = F.l1_loss(restored, golden["gt"]), F.l1_loss(chain[-1], golden["train/iprs1"])
    (l_pix + l_abs).backward()

    assert_equal(torch.stack(chain), golden["train/pred_ipr_list"])
    assert_equal(restored, golden["train/out"])
    assert_equal(l_pix, golden["train/l_pix"])
    assert_equal(l_abs, golden["train/l_abs"])
    assert golden.own_gradient_norms() == pytest.approx(golden.gradient_norms(""), rel=1e-3)


@pytest.mark.parametrize("golden", STAGE_2, indirect=True)
def test_the_encoder_phase_has_the_gradients_of_the_reference(golden):
    F.l1_loss(training_chain(golden)[-1], golden["train/iprs1"]).backward()

    assert golden.own_gradient_norms() == pytest.approx(golden.gradient_norms("enc_phase_"), rel=1e-3)


@pytest.mark.parametrize("golden", STAGE_2, indirect=True)
def test_the_training_chain_starts_where_the_reference_starts(golden):
    x_t = golden.network.schedule.q_sample(golden["train/iprs1"], 3, golden["train/noise"])

    assert_equal(x_t, golden["train/x_T"])
