"""Tests with the key lists of the reference networks: settings are inferred, and every key is translated."""

import json

import pytest
import torch

from diffir.systems.diffir.released import read_official
from diffir.systems.diffir.tasks import TASKS
from tests.diffir_objects import check_diffir

ROWS = {
    "deblur": "deblur",
    "inpainting_celeba_places": "inpaint",
    "inpainting_placesbig": "inpaint_big",
    "realsr_x1": "realsr_x1",
    "realsr_x2": "realsr_x2",
    "realsr_x4": "realsr_x4",
    "srgan_x2": "sr_x2",
    "srgan_x4": "sr_x4",
}


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("listed", ROWS)
def test_a_key_list_is_recognised_as_its_row(shared, listed, stage):
    entries = json.loads((shared / f"reference/state_dicts/{listed}_s{stage}.json").read_text())["state_dict"]
    zero = torch.zeros(())  # expanded to any shape, it needs no memory
    state = {e["key"]: torch.tensor(e["values"]) if "values" in e else zero.expand(e["shape"]) for e in entries}

    official = read_official(state, listed)

    assert official.stage == stage
    assert official.settings == TASKS[ROWS[listed]].arch
    assert ROWS[listed] in official.tasks
    check_diffir(official.state, official.settings, official.stage, listed)
