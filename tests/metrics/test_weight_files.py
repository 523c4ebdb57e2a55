"""Weight files that ship with the package, and the list of public ones."""

import re
import zipfile

import numpy as np
import pytest
import torch

from diffir.errors import WeightsError
from diffir.metrics.table import METRICS
from diffir.metrics.weight_files import PUBLIC_FILES, SHIPPED, fill, read_shipped, read_tensors

ARRAYS = sorted(path.name for path in SHIPPED.glob("*.npz"))


@pytest.mark.parametrize("name", ARRAYS)
def test_files_that_ship_hold_plain_numbers_and_are_named_in_the_notice(name):
    content = read_shipped(name)

    assert all(array.dtype.kind == "f" and np.isfinite(array).all() for array in content.values())
    assert set(zipfile.ZipFile(SHIPPED / name).namelist()) == {f"{key}.npy" for key in content}
    assert f"`{name}`" in (SHIPPED / "NOTICE.md").read_text("utf-8")


def test_a_pickle_in_a_shipped_file_is_not_read(tmp_path, monkeypatch):
    np.savez(tmp_path / "evil.npz", evil=np.array([{"run": "me"}], dtype=object))
    monkeypatch.setattr("diffir.metrics.weight_files.SHIPPED", tmp_path)

    with pytest.raises(ValueError, match="allow_pickle"):
        read_shipped("evil.npz")


def test_every_public_file_is_used_and_says_its_sum_and_a_safe_address():
    assert {name for row in METRICS.values() for name in row.files} == set(PUBLIC_FILES)
    for file in PUBLIC_FILES.values():
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.url.startswith("https://")
        promised = re.search(r"-([0-9a-f]{8})\.", file.in_cache)
        assert promised is None or file.sha256.startswith(promised[1])


def test_a_file_with_code_in_it_is_refused(tmp_path):
    torch.save({"x": np.random.default_rng(0)}, tmp_path / "code.pth")

    with pytest.raises(WeightsError, match=r"code\.pth does not hold tensors by name") as caught:
        read_tensors(tmp_path / "code.pth")
    assert "\n" not in str(caught.value)


def test_a_network_is_filled_whole_or_not_at_all(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    state = {name: t for name, t in network.state_dict().items() if not name.endswith("tracked")}

    fill(network, state | {"more": torch.ones(1)}, tmp_path)
    assert not network.training

    with pytest.raises(WeightsError, match=r"1\.weight is missing or not of shape \(4,\)"):
        fill(network, state | {"1.weight": torch.ones(5)}, tmp_path)
