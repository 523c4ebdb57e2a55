"""What an autoencoder keeps of photos: PSNR, SSIM and LPIPS of photos after encoding and decoding, as a table.

python tools/measure_reconstruction.py PHOTOS WEIGHTS_OR_ROW ... [--learn FOLDER] [--crop 256]
A file of weights may be that of an autoencoder or of a denoiser. The name of a row with a linear code, such as
kl_f4_small, measures that code alone, with the principal components of the photos in --learn: the floor that training
starts from. Multiply-adds are those of encoding and decoding 256 x 256 pixels.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch

from diffir.api import load_network
from diffir.image_io import list_images, read_image
from diffir.inference.multiply_adds import SIDE, multiply_adds_of
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import LoadedMetrics
from diffir.pixels import as_rgb, to_float
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.rows import ROWS

METRICS = ("psnr", "ssim", "lpips_squeeze")
PATCHES = 64  # photos that the linear code is computed from, one square of SIDE pixels each


def photos_in(folder: Path, crop: int | None) -> list[np.ndarray]:
    """The photos of a folder, H x W x 3 float32; with ``crop`` the middle square, otherwise sides cut to 16 pixels."""
    found = []
    for path in list_images(folder):
        image = as_rgb(to_float(read_image(path).pixels))
        height, width = image.shape[:2]
        rows, columns = (min(crop or side, side) // 16 * 16 for side in (height, width))
        top, left = (height - rows) // 2, (width - columns) // 2
        found.append(image[top : top + rows, left : left + columns])
    return found


def as_batch(images: list[np.ndarray]) -> torch.Tensor:
    return 2 * torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) - 1


def autoencoder(source: str, learn: Path | None) -> Autoencoder:
    """The autoencoder of a file, or the untrained linear code of a row."""
    if source not in ROWS or Path(source).is_file():
        network, _ = load_network(source)
        if not isinstance(network, LatentDiffusion | Autoencoder):
            raise SystemExit(f"{source} is no network of latent diffusion")
        return network.autoencoder if isinstance(network, LatentDiffusion) else network
    if learn is None:
        raise SystemExit(f"{source} is a row of the table: give --learn FOLDER for its linear code")
    network = Autoencoder(ROWS[source].settings.autoencoder).eval()
    if not network.settings.linear_code:
        raise SystemExit(f"{source} has no linear code; give a file of weights")
    images = as_batch([photo for photo in photos_in(learn, SIDE) if photo.shape == (SIDE, SIDE, 3)][:PATCHES])
    network.set_linear_code(images)
    if network.codebook is not None:
        network.codebook.spread_over(network.encode(images).detach())
    return network


def passed_through(network: Autoencoder, images: torch.Tensor) -> torch.Tensor:
    return network.decode(network.encode(images))


@torch.no_grad()
def scores(network: Autoencoder, photos: list[np.ndarray]) -> list[float]:
    """The mean of each metric over the photos."""
    metrics, found = LoadedMetrics.prepare(METRICS), []
    for photo in photos:
        decoded = (passed_through(network, as_batch([photo])) + 1) / 2
        restored = np.rint(255 * decoded[0].clamp(0, 1).permute(1, 2, 0).numpy()).astype(np.uint8)
        original = np.rint(255 * photo).astype(np.uint8)
        found.append(list(metrics.measure(restored, original, Protocol(), data_range=255).values()))
    return np.mean(found, axis=0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--learn", type=Path)
    parser.add_argument("--crop", type=int)
    args = parser.parse_args()

    photos = photos_in(args.photos, args.crop)
    print(f"| autoencoder ({len(photos)} photos) | f | channels | parameters | multiply-adds | PSNR | SSIM | LPIPS |")
    print("|---|---|---|---|---|---|---|---|")
    for source in args.sources:
        network = autoencoder(source, args.learn)
        settings, images = network.settings, torch.zeros(1, 3, SIDE, SIDE)
        work = multiply_adds_of(partial(passed_through, network, images))
        size = sum(parameter.numel() for parameter in network.parameters())
        psnr, ssim, lpips = scores(network, photos)
        columns = (Path(source).stem, settings.factor, settings.latent_channels, f"{size / 1e6:.2f} M")
        print("|", " | ".join(map(str, columns)), f"| {work / 1e9:.1f} G | {psnr:.2f} | {ssim:.4f} | {lpips:.4f} |")


if __name__ == "__main__":
    main()
