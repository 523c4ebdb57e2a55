"""Tests of prior files: a prior is saved with the name of its weights, and priors are mixed linearly."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffir.errors import UsageError, WeightsError
from diffir.inference.prior_file import load_prior, mix_priors, save_prior


def test_a_prior_comes_back_with_the_name_of_its_weights(tmp_path: Path) -> None:
    prior = torch.rand(1, 256)

    save_prior(tmp_path / "a.prior.safetensors", prior, "deblur")

    found, name = load_prior(tmp_path / "a.prior.safetensors")
    assert torch.equal(found, prior)
    assert name == "deblur"
    assert (tmp_path / "a.prior.safetensors").stat().st_size < 1300


@pytest.mark.parametrize(
    "tensors",
    [{"other": torch.zeros(1, 4)}, {"prior": torch.zeros(2, 4)}, {"prior": torch.full((1, 4), torch.nan)}],
    ids=["another name", "two", "NaN"],
)
def test_a_file_that_holds_no_prior_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, tmp_path / "a.safetensors")

    with pytest.raises(WeightsError, match="does not hold one prior"):
        load_prior(tmp_path / "a.safetensors")


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100])
def test_a_file_that_is_no_safetensors_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.prior").write_bytes(content)

    with pytest.raises(WeightsError, match="not a prior that diffir wrote"):
        load_prior(tmp_path / "a.prior")


def test_a_missing_prior_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such prior"):
        load_prior(tmp_path / "none")


def test_a_prior_the_system_refuses_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"xxx: cannot be read \(File name too long"):
        load_prior(tmp_path / ("x" * 300))


def test_mixing_is_a_weighted_mean() -> None:
    one, other = torch.zeros(1, 8), torch.ones(1, 8)

    torch.testing.assert_close(mix_priors([one, other]), torch.full((1, 8), 0.5))
    torch.testing.assert_close(mix_priors([one, other], [3, 1]), torch.full((1, 8), 0.25))


@pytest.mark.parametrize("shares", [[1], [1, -1], [float("nan"), 1]])
def test_shares_that_make_no_mean_are_wrong_usage(shares: list[float]) -> None:
    with pytest.raises(UsageError, match="shares"):
        mix_priors([torch.zeros(1, 8), torch.ones(1, 8)], shares)


def test_priors_of_different_widths_do_not_mix() -> None:
    with pytest.raises(UsageError, match="one width can be mixed, got 8, 16"):
        mix_priors([torch.zeros(1, 8), torch.zeros(1, 16)])
