"""A small evaluation: three methods on four images, and the pictures of one of them."""

import copy

import numpy as np
import pytest

from diffir.report import Case

NAMES = ("barn", "creek", "dune", "elm")
PROTOCOL = {"crop_border": 0, "test_y_channel": False, "convention": "basicsr", "round_output": True}
NETWORK = {"weights": "photo.safetensors", "fingerprint": "ab" * 32, "seed": 0, "prior": "diffusion"}


def result_of(method: str, values: list[float | str], **changes) -> dict:
    """One result of a document; ``values`` are the PSNR of the images."""
    mean = {"mean": sum(float(v) for v in values) / len(values), "low": 21.125, "high": 39.875}
    images = [
        {"name": name, "width": 48, "height": 32, "scores": {"psnr": value}, "seconds": 0.5, "peak_memory_mb": 300}
        for name, value in zip(NAMES, values, strict=False)
    ]
    made = {
        "method": method,
        "kind": "baseline",
        "summary": f"what {method} is",
        "network": None,
        "parameters": None,
        "multiply_adds": None,
        "dataset": "Set4",
        "count": len(images),
        "of": 12,
        "data_sha256": "cd" * 32,
        "condition": "sigma 25",
        "degradation": {"kind": "noise", "sigma": 25, "description": "Gaussian noise of sigma 25/255"},
        "protocol": {**PROTOCOL, "line": "RGB, crop_border 0, every convention"},
        "scores": {"psnr": mean, "fid": {"mean": 12.5, "low": None, "high": None}},
        "skipped": {"dists": "its weights are not here"},
        "seconds": 0.5,
        "peak_memory_mb": 300.0,
        "images": images,
    }
    return {**made, **changes}


@pytest.fixture
def make_result():
    return result_of


@pytest.fixture
def document() -> dict:
    """The network is worst on creek, best on dune, and loses most on barn."""
    results = [
        result_of("input", [20.0, 20.5, 21.0, 20.25]),
        result_of("nlm", [33.0, 24.0, 28.0, 27.0]),
        result_of("photo", [30.0, 25.0, 36.0, 31.5], kind="network", network=NETWORK, parameters=3290000),
    ]
    return copy.deepcopy(
        {
            "format": "diffir evaluation 1",
            "versions": {"diffir": "0.1.0", "numpy": "2.4.6"},
            "machine": {"device": "cpu", "cores": 2, "threads": 1},
            "results": results,
        }
    )


@pytest.fixture
def case() -> Case:
    """48 x 32 pixels; what is restored is off by 10 in one corner."""
    generator = np.random.default_rng(0)
    clean = generator.integers(40, 200, (32, 48, 3), dtype=np.uint8)
    restored = clean.copy()
    restored[:8, :8] += 10
    noisy = np.clip(clean + generator.normal(0, 25, clean.shape), 0, 255).astype(np.uint8)
    pictures = {"input": noisy, "photo": restored, "ground truth": clean}
    return Case("Set4", "sigma 25", "creek", "worst of photo by PSNR", pictures, {"photo": {"psnr": 25.0}})
