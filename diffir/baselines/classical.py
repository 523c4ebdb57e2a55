"""Baselines for images without holes: untouched input, bicubic upscaling, non-local means, sliding DCT.

In: an image H x W x C, RGB or grey, uint8, uint16 or float with white at 1 (noise may exceed [0, 1]). Out: an image of
the same dtype, its sides multiplied by ``scale``. Floats are neither clipped nor rounded. Only the untouched input
accepts a mask.
"""

from dataclasses import dataclass

import numpy as np

from diffir.degradations.resize import imresize
from diffir.errors import UsageError
from diffir.pixels import to_float, to_kind

NLM_PATCH_SIZE = 5  # pixels; this and the next two as scikit-image's documentation recommends for known sigma
NLM_PATCH_DISTANCE = 6  # pixels
NLM_STRENGTH = 0.8  # filter strength h divided by sigma, for fast_mode
DCT_BLOCK = 8  # pixels
DCT_THRESHOLD = 3.0  # threshold divided by sigma, as in the paper
OPPONENT_COLOURS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])  # orthonormal rows
MEDIAN_OF_NORMAL = 0.6745  # median of |x| for a standard normal x


@dataclass(frozen=True)
class Identity:
    """The baseline that returns its input unchanged."""

    name: str = "input"
    scale: int = 1
    has_mask: bool = False

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the image itself; holes stay as they are."""
        return image


@dataclass(frozen=True)
class Bicubic:
    """Upscaling by MATLAB's bicubic imresize, computed in float."""

    name: str
    scale: int
    has_mask: bool = False

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the image upscaled by ``scale``."""
        _refuse_mask(self.name, mask)
        return to_kind(imresize(to_float(image), self.scale), image.dtype)


@dataclass(frozen=True)
class NonLocalMeans:
    """Fast non-local means of scikit-image (Buades et al., CVPR 2005; Darbon et al., 2008)."""

    sigma: float | None = None
    """Standard deviation of the noise in 1/255; None estimates it from each image."""
    name: str = "nlm"
    scale: int = 1
    has_mask: bool = False

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the denoised image, of the same size and dtype."""
        from skimage.restoration import denoise_nl_means

        _refuse_mask(self.name, mask)
        noisy = to_float(image)
        sigma = estimate_sigma(noisy) if self.sigma is None else self.sigma / 255
        denoised = denoise_nl_means(
            noisy,
            patch_size=NLM_PATCH_SIZE,
            patch_distance=NLM_PATCH_DISTANCE,
            h=NLM_STRENGTH * sigma,
            sigma=sigma,
            fast_mode=True,
            preserve_range=True,
            channel_axis=-1,
        )
        return to_kind(denoised.reshape(image.shape), image.dtype)  # scikit-image drops a single channel


@dataclass(frozen=True)
class SlidingDct:
    """Thresholding the DCT of all 8 x 8 blocks in opponent colours (Yu, Sapiro, "DCT image denoising", IPOL 2011)."""

    sigma: float | None = None
    """Standard deviation of the noise in 1/255; None estimates it from each image."""
    name: str = "dct"
    scale: int = 1
    has_mask: bool = False

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the denoised image: the mean over the 64 block grids that cover each pixel."""
        _refuse_mask(self.name, mask)
        noisy = to_float(image).astype(np.float32)
        sigma = estimate_sigma(noisy) if self.sigma is None else self.sigma / 255
        colours = (OPPONENT_COLOURS if image.shape[2] == 3 else np.eye(image.shape[2])).astype(np.float32)
        height, width = image.shape[:2]

        # Pad by mirroring, so that every pixel lies in all 64 positions of a block.
        margin = DCT_BLOCK - 1
        padded = np.pad(noisy @ colours.T, ((margin, 2 * margin), (margin, 2 * margin), (0, 0)), mode="symmetric")

        # Threshold the blocks of each of the 64 grids, and average.
        total = np.zeros(noisy.shape, np.float32)
        for y, x in np.ndindex(DCT_BLOCK, DCT_BLOCK):
            grid = _threshold_blocks(padded[y:, x:], DCT_THRESHOLD * sigma)
            total += grid[margin - y :, margin - x :][:height, :width]
        return to_kind(total / DCT_BLOCK**2 @ colours, image.dtype)


def _refuse_mask(name: str, mask: np.ndarray | None) -> None:
    if mask is not None:
        raise UsageError(f"{name} takes no mask; masks are for methods that fill holes")


def _threshold_blocks(image: np.ndarray, threshold: float) -> np.ndarray:
    """Cut H x W x C to whole blocks and set their small DCT coefficients to zero; the mean of a block always stays."""
    from scipy.fft import dctn, idctn

    rows, columns = (side // DCT_BLOCK for side in image.shape[:2])
    whole = image[: rows * DCT_BLOCK, : columns * DCT_BLOCK]
    blocks = whole.reshape(rows, DCT_BLOCK, columns, DCT_BLOCK, image.shape[2])
    coefficients = dctn(blocks, axes=(1, 3), norm="ortho")
    # The coefficient at (0, 0) is the mean of the block.
    kept = np.abs(coefficients) > threshold
    kept[:, 0, :, 0] = True
    return idctn(coefficients * kept, axes=(1, 3), norm="ortho").reshape(whole.shape)


def estimate_sigma(image: np.ndarray) -> float:
    """Estimate the standard deviation of Gaussian noise from the finest diagonal Haar coefficients.

    It is the median of their magnitudes divided by that of a standard normal (Donoho, Johnstone 1994).

    Args:
        image: H x W x C float, any range; the result is in the same unit.
    """
    height, width = (side - side % 2 for side in image.shape[:2])
    image = image[:height, :width]
    diagonal = (image[::2, ::2] - image[1::2, ::2] - image[::2, 1::2] + image[1::2, 1::2]) / 2
    return float(np.median(np.abs(diagonal))) / MEDIAN_OF_NORMAL
