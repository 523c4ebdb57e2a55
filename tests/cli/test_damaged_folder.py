"""Mutated photos in a folder: every file ends as a result or as one line, and no input is changed.

The environment variable DIFFIR_FUZZ_CASES sets the number of files, which is small by default.
"""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffir.cli.main import main
from diffir.image_io import read_file
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights

CASES = int(os.environ.get("DIFFIR_FUZZ_CASES", "60"))
SAMPLES = sorted((Path(__file__).resolve().parents[2] / "datasets/samples/clean").glob("*.png"))
KINDS = {".png": {}, ".jpg": {"quality": 90}, ".webp": {}, ".tif": {"compression": "tiff_lzw"}, ".bmp": {}, ".gif": {}}


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """Cut a file, flip bits, overwrite bytes or repeat a part of it; one file in eight stays unchanged."""
    damage = random.integers(8)
    where = int(random.integers(len(content)))
    changed = bytearray(content)
    if damage == 0:
        return content
    if damage == 1:
        return content[:where]
    if damage == 2:
        return content[:where] + content[max(where - 40, 0) :]
    for at in random.integers(0, len(content) if damage < 6 else min(len(content), 200), size=int(damage)):
        changed[at] = random.integers(256) if damage % 2 else changed[at] ^ (1 << int(random.integers(8)))
    return bytes(changed)


def fill(folder: Path) -> dict[Path, str]:
    """Write mutated photos of 20 x 16 pixels and return path -> hash."""
    random, hashes = np.random.default_rng(0), {}
    photos = [Image.open(sample).convert("RGB") for sample in SAMPLES]
    for number in range(CASES):
        suffix = list(KINDS)[number % len(KINDS)]
        photo, buffer = photos[number % len(photos)], io.BytesIO()
        left, top = (int(random.integers(side - 20)) for side in photo.size)
        cut = photo.crop((left, top, left + 20, top + 16))
        cut.save(buffer, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper()), **KINDS[suffix])
        path = folder / f"photo {number:05d}{suffix}"
        path.write_bytes(mutated(buffer.getvalue(), random))
        hashes[path] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def test_every_file_ends_as_a_result_or_as_one_line_and_no_input_is_changed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings, weights = get_task("denoise_tiny").arch, tmp_path / "tiny.safetensors"
    torch.manual_seed(0)
    save_weights(weights, DiffIR(settings).state_dict(), card_of("tiny", settings))
    (tmp_path / "in").mkdir()
    hashes = fill(tmp_path / "in")

    files = [str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    code = main(
        ["restore", *files, "--model_path", str(weights), "--device", "cpu", "--json", "--max_pixels", "200000"]
    )

    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    done, failed = ([event for event in events if event["event"] == kind] for kind in ("done", "failed"))
    assert code == 1
    assert "Traceback" not in out + err
    assert {Path(event["source"]) for event in (*done, *failed)} == set(hashes)
    assert len(done) > CASES / 8
    assert all(event["error"] and "\n" not in event["error"] for event in failed)
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in hashes} == hashes
    assert {path.name for path in (tmp_path / "out").iterdir()} == {Path(event["target"]).name for event in done}
    assert all(read_file(event["target"]) for event in done[:50])
