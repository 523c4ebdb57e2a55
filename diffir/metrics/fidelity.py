"""PSNR and SSIM, for whole images and for missing regions.

In: two arrays from ``Protocol.apply``, h x w x c float64 on the 8-bit scale, and for inpainting the mask of missing
pixels. Out: one number. SSIM follows Wang et al., "Image quality assessment: from error visibility to structural
similarity", TIP 2004, as MATLAB and BasicSR compute it: 11 x 11 Gaussian window of sigma 1.5, only positions at which
the window lies inside the image, mean over the channels. The 3-D form is what MATLAB's ``ssim`` computes for a colour
array: its window also spans the channels.
"""

from collections.abc import Callable

import cv2
import numpy as np

from diffir.errors import ImageError

WHITE = 255.0
WINDOW = 11  # pixels
WINDOW_SIGMA = 1.5  # pixels
C1 = (0.01 * WHITE) ** 2  # with K1 and K2 of the paper
C2 = (0.03 * WHITE) ** 2


def psnr(restored: np.ndarray, gt: np.ndarray) -> float:
    """Return 10 log10(255^2 / MSE) in dB over all pixels and channels; it is infinite for identical images."""
    return decibels(np.mean(np.square(restored.astype(np.float64) - gt)))  # differences of uint8 would wrap around


def psnr_hole(restored: np.ndarray, gt: np.ndarray, mask: np.ndarray) -> float:
    """Return the PSNR in dB over the missing pixels only.

    Args:
        restored: h x w x c, the whole restored image.
        gt: the ground truth, of the same shape.
        mask: h x w bool, True where a pixel was missing.

    Raises:
        ImageError: no pixel is missing.
    """
    _require_a_hole(mask)
    return psnr(restored[mask], gt[mask])


def ssim(restored: np.ndarray, gt: np.ndarray) -> float:
    """Return the mean structural similarity, which is at most 1.

    Raises:
        ImageError: the image is smaller than the window.
    """
    _require_the_window(gt)
    margin = WINDOW // 2
    return float(np.mean(_similarity(restored, gt, _local_mean)[margin:-margin, margin:-margin]))


def ssim_hole(restored: np.ndarray, gt: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean of the SSIM map over the missing pixels; the arguments are those of ``psnr_hole``.

    The image is mirrored at its edges, so that the map has values for missing pixels there, too.

    Raises:
        ImageError: no pixel is missing, or the image is smaller than the window.
    """
    _require_a_hole(mask)
    _require_the_window(gt)
    return float(np.mean(_similarity(restored, gt, _local_mean)[mask]))


def ssim_3d(restored: np.ndarray, gt: np.ndarray) -> float:
    """Return the mean SSIM with an 11 x 11 x 11 window over rows, columns and channels.

    Values at the edges of the array are repeated outwards and the mean runs over the whole image, so images may have
    any size.
    """
    return float(np.mean(_similarity(restored, gt, _local_mean_over_channels)))


def decibels(mean_square: float) -> float:
    """Convert a mean squared error on the 8-bit scale to PSNR in dB."""
    return float("inf") if mean_square == 0 else 10 * float(np.log10(WHITE**2 / mean_square))


def _similarity(restored: np.ndarray, gt: np.ndarray, mean: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the SSIM map h x w x c, where ``mean`` computes the weighted mean under the window at each pixel."""
    restored, gt = restored.astype(np.float64), gt.astype(np.float64)
    mean_x, mean_y = mean(restored), mean(gt)
    variance_x = mean(restored**2) - mean_x**2
    variance_y = mean(gt**2) - mean_y**2
    covariance = mean(restored * gt) - mean_x * mean_y
    # Multiply the two factors of the paper.
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return luminance * structure


def _local_mean(pixels: np.ndarray) -> np.ndarray:
    """Return the Gaussian mean around each pixel, with edges mirrored."""
    return cv2.GaussianBlur(pixels, (WINDOW, WINDOW), WINDOW_SIGMA)


def _local_mean_over_channels(pixels: np.ndarray) -> np.ndarray:
    """Return the Gaussian mean over rows, columns and channels around each value, with edges repeated."""
    blurred = cv2.GaussianBlur(pixels, (WINDOW, WINDOW), WINDOW_SIGMA, borderType=cv2.BORDER_REPLICATE)
    # Blur across the channels by a matrix product.
    channels = np.arange(pixels.shape[2])
    reached = np.clip(channels[:, None] + np.arange(WINDOW) - WINDOW // 2, 0, channels[-1])
    window = cv2.getGaussianKernel(WINDOW, WINDOW_SIGMA).ravel()
    mixing = [np.bincount(channel, window, len(channels)) for channel in reached]  # output by input channels
    return blurred.reshape(pixels.shape) @ np.transpose(mixing)


def _require_the_window(gt: np.ndarray) -> None:
    if min(gt.shape[:2]) < WINDOW:
        raise ImageError(f"SSIM needs {WINDOW} x {WINDOW} pixels inside the border, got {gt.shape[1]} x {gt.shape[0]}")


def _require_a_hole(mask: np.ndarray) -> None:
    if not mask.any():
        raise ImageError("scores of missing pixels need a mask with at least one inside the border; this one has none")
