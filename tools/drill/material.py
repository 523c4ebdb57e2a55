"""What the drills damage: toy weights, photos in many formats, masks, priors, texts, archives, documents.

Everything is made once, in a folder, from fixed seeds.
"""

import io
import json
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image

from diffir.data.lmdb_photos import META_INFO
from diffir.inference.prior_file import save_prior
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.system import DIFFIR, DIFFUSION
from diffir.systems.diffir.tasks import get_task
from diffir.weights.card import WeightsCard
from diffir.weights.published import save_published
from tools.drill.calls import ROOT, Caller

SHORT_TRAINING = (
    *("train.total_iter=12", "train.warmup_iter=2", "train.encoder_iter=2", "stage2.total_iter=8"),
    *("stage2.encoder_iter=2", "datasets.train.gt_size=32", "datasets.train.batch_size_per_gpu=2"),
    *("datasets.val.gt_size=32", "logger.print_freq=1", "logger.save_checkpoint_freq=2", "logger.keep_checkpoints=2"),
    *("logger.use_tb_logger=false", "val.save_images=0", "val.val_freq=3"),
    *(
        f"datasets.train.dataroot_gt={ROOT}/datasets/samples/train",
        f"datasets.val.dataroot_gt={ROOT}/datasets/samples/clean",
    ),
)
TRAINING = ("train", "-opt", f"{ROOT}/options/debug/tiny.yml", *SHORT_TRAINING, "path.experiments_root=runs")
RESTORING = ("--device", "cpu", "--precision", "fp32", "--max_pixels", "1000000")


@dataclass(frozen=True)
class Material:
    """Names and contents of undamaged files, and paths of weights."""

    toy: Path
    """Weights that restore photos."""
    filling: Path
    """Weights that fill missing regions."""
    photos: dict[str, bytes]
    masks: dict[str, bytes]
    weights: dict[str, bytes]
    prior: bytes
    archives: dict[str, dict[str, bytes]]
    """Files of each kind of archive by their names."""
    texts: dict[str, str]
    """An option file, a recipe, a card."""
    document: bytes
    """What ``diffir eval --json`` writes."""
    scores: dict[str, bytes]
    """Files of its cache."""


def make_material(folder: Path, caller: Caller) -> Material:
    """Make everything in a folder, which must be empty."""
    torch.manual_seed(0)
    toy = _published(folder / "toy.safetensors")
    filling = _published(folder / "filling.safetensors", in_channels=4, unshuffle=1, upsample=1, global_skip="none")
    photos = _photos()
    (folder / "photos").mkdir()
    for name in ("rgb.png", "camera.jpg"):
        (folder / "photos" / name).write_bytes(photos[name])
    save_prior(folder / "prior.safetensors", torch.zeros(1, get_task("denoise_tiny").arch.prior_width), "toy")
    document, scores = _evaluation(folder, caller)
    return Material(
        toy,
        filling,
        photos,
        {f"mask.{kind}": _saved(_noise(24, 32)[:, :, 0], kind) for kind in ("png", "bmp", "tif", "webp", "gif")},
        _weights(toy),
        (folder / "prior.safetensors").read_bytes(),
        {"shard": _shard(photos), **_lmdb(folder, photos)},
        {
            "options": (ROOT / "options/debug/tiny.yml").read_text("utf-8"),
            "recipe": (ROOT / "diffir/degradations/shipped/old_photo.yml").read_text("utf-8"),
            "card": (ROOT / "datasets/cards/bsd500.yml").read_text("utf-8"),
        },
        document,
        scores,
    )


def _published(path: Path, **changes: object) -> Path:
    settings = replace(get_task("denoise_tiny").arch, **changes)
    card = WeightsCard("toy", settings.to_dict(), DIFFUSION, task="denoise_tiny")
    save_published(path, DiffIR(settings).state_dict(), card, DIFFIR)
    return path


def _noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _saved(pixels: np.ndarray, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper()), **how)
    return buffer.getvalue()


def _photos() -> dict[str, bytes]:
    rgb, alpha, deep = _noise(24, 32), np.dstack([_noise(24, 32), _noise(24, 32, 1)[:, :, 0]]), io.BytesIO()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    frames = [Image.fromarray(_noise(24, 32, seed)) for seed in range(3)]
    tifffile.imwrite(deep, rgb.astype(np.uint16) * 257, photometric="rgb", compression="zlib", tile=(16, 16))
    photos = {
        "rgb.png": _saved(rgb, "png", exif=exif, dpi=(300, 300)),
        "alpha.png": _saved(alpha, "png"),
        "grey.png": _saved(rgb[:, :, 0], "png"),
        "camera.jpg": _saved(rgb, "jpg", exif=exif, quality=90),
        "progressive.jpg": _saved(rgb, "jpg", progressive=True, icc_profile=b"\0" * 200),
        "packed.tif": _saved(rgb, "tif", compression="tiff_lzw", exif=exif),
        "deep.tif": deep.getvalue(),
        "photo.webp": _saved(rgb, "webp", exif=exif),
        "photo.bmp": _saved(rgb, "bmp"),
        "photo.ppm": b"P6 32 24 255\n" + rgb.tobytes(),
    }
    for name, kind in (("moving.gif", "GIF"), ("moving.webp", "WEBP"), ("moving.png", "PNG"), ("two.mpo", "MPO")):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
        photos[name] = buffer.getvalue()
    palette = io.BytesIO()
    frames[0].convert("P").save(palette, "PNG", transparency=3)
    return {**photos, "palette.png": palette.getvalue()}


def _weights(published: Path) -> dict[str, bytes]:
    state = DiffIR(get_task("denoise_tiny").arch).state_dict()
    files = {"published.safetensors": published.read_bytes()}
    for name, how in (("zip.pth", {}), ("legacy.pth", {"_use_new_zipfile_serialization": False})):
        buffer = io.BytesIO()
        torch.save({"params": dict(list(state.items())[:20]), "iter": 5}, buffer, **how)
        files[name] = buffer.getvalue()
    return files


def _shard(photos: dict[str, bytes]) -> dict[str, bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("rgb.png", "camera.jpg", "photo.webp"):
            entry = tarfile.TarInfo(name)
            entry.size = len(photos[name])
            archive.addfile(entry, io.BytesIO(photos[name]))
    return {"set.tar": buffer.getvalue()}


def _lmdb(folder: Path, photos: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """An LMDB with the layout of BasicSR; none if the package is not installed."""
    try:
        import lmdb
    except ImportError:
        return {}
    place = folder / "set.lmdb"
    with lmdb.open(str(place), map_size=2**20) as database, database.begin(write=True) as transaction:
        for key, name in (("a", "rgb.png"), ("b", "grey.png")):
            transaction.put(key.encode(), photos[name])
    (place / META_INFO).write_text("a.png (24,32,3) 1\nb.png (24,32,1) 1\n", "utf-8")
    return {"lmdb": {f"set.lmdb/{name}": (place / name).read_bytes() for name in ("data.mdb", META_INFO)}}


def _evaluation(folder: Path, caller: Caller) -> tuple[bytes, dict[str, bytes]]:
    call = ["eval", "-n", "input,bicubic_x2", "-d", "photos", "--json", "scores.json", "--cache", "scores"]
    answer = caller.call([*call[:2], "input", *call[3:], "--sigma", "25"], folder)
    if answer.code != 0:
        raise RuntimeError(f"an undamaged evaluation fails: {answer.output}")
    document = (folder / "scores.json").read_bytes()
    json.loads(document)
    return document, {path.name: path.read_bytes() for path in sorted((folder / "scores").iterdir())}
