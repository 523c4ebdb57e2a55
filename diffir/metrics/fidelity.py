"""PSNR and SSIM in their forms: how near a restored image is to its ground truth.

In: two arrays that ``Protocol.apply`` made, h x w x c float64 on the 8-bit scale, and for inpainting the missing
pixels; out: one number. SSIM is that of Wang et al., "Image quality assessment: from error visibility to structural
similarity", TIP 2004, as MATLAB and BasicSR compute it: 11 x 11 Gaussian window of sigma 1.5, only where it lies wholly
inside, mean over the channels. The 3-D form is MATLAB's ``ssim`` of a colour array: its window spans the channels too.
"""

from collections.abc import Callable

import cv2
import numpy as np

from diffir.errors import ImageError

WHITE = 255.0
WINDOW = 11
WINDOW_SIGMA = 1.5  # pixels
C1 = (0.01 * WHITE) ** 2  # K1, K2 of the paper
C2 = (0.03 * WHITE) ** 2


def psnr(restored: np.ndarray, gt: np.ndarray) -> float:
    """10 log10(255^2 / MSE) in dB over all pixels and channels; infinite for identical images."""
    return decibels(np.mean(np.square(restored.astype(np.float64) - gt)))  # bytes would wrap


def psnr_hole(restored: np.ndarray, gt: np.ndarray, mask: np.ndarray) -> float:
    """PSNR over the missing pixels alone.

    Args:
        restored: h x w x c, the whole image.
        gt: the same shape.
        mask: h x w bool, True where a pixel was missing.

    Raises:
        ImageError: no pixel is missing.
    """
    _require_a_hole(mask)
    return psnr(restored[mask], gt[mask])


def ssim(restored: np.ndarray, gt: np.ndarray) -> float:
    """Structural similarity, at most 1.

    Raises:
        ImageError: an image smaller than the window.
    """
    _require_the_window(gt)
    margin = WINDOW // 2
    return float(np.mean(_similarity(restored, gt, _local_mean)[margin:-margin, margin:-margin]))


def ssim_hole(restored: np.ndarray, gt: np.ndarray, mask: np.ndarray) -> float:
    """Mean of the SSIM map at the missing pixels, edges mirrored so that a hole may reach them; arguments of psnr_hole.

    Raises:
        ImageError: no pixel is missing, or an image smaller than the window.
    """
    _require_a_hole(mask)
    _require_the_window(gt)
    return float(np.mean(_similarity(restored, gt, _local_mean)[mask]))


def ssim_3d(restored: np.ndarray, gt: np.ndarray) -> float:
    """SSIM with an 11 x 11 x 11 window over rows, columns and channels; the array's faces are repeated outwards.

    The mean runs over the whole image, so images may be of any size.
    """
    return float(np.mean(_similarity(restored, gt, _local_mean_over_channels)))


def decibels(mean_square: float) -> float:
    """PSNR of a mean squared error on the 8-bit scale."""
    return float("inf") if mean_square == 0 else 10 * float(np.log10(WHITE**2 / mean_square))


def _similarity(restored: np.ndarray, gt: np.ndarray, mean: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The SSIM map under a window that ``mean`` applies."""
    restored, gt = restored.astype(np.float64), gt.astype(np.float64)
    mean_x, mean_y = mean(restored), mean(gt)
    variance_x = mean(restored**2) - mean_x**2
    variance_y = mean(gt**2) - mean_y**2
    covariance = mean(restored * gt) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return luminance * structure


def _local_mean(pixels: np.ndarray) -> np.ndarray:
    """Gaussian mean around every pixel, edges mirrored."""
    return cv2.GaussianBlur(pixels, (WINDOW, WINDOW), WINDOW_SIGMA)


def _local_mean_over_channels(pixels: np.ndarray) -> np.ndarray:
    """Gaussian mean around every pixel and its channel, faces repeated."""
    blurred = cv2.GaussianBlur(pixels, (WINDOW, WINDOW), WINDOW_SIGMA, borderType=cv2.BORDER_REPLICATE)
    channels = np.arange(pixels.shape[2])
    reached = np.clip(channels[:, None] + np.arange(WINDOW) - WINDOW // 2, 0, channels[-1])
    window = cv2.getGaussianKernel(WINDOW, WINDOW_SIGMA).ravel()
    mixing = [np.bincount(channel, window, len(channels)) for channel in reached]  # what each takes of each
    return blurred.reshape(pixels.shape) @ np.transpose(mixing)


def _require_the_window(gt: np.ndarray) -> None:
    if min(gt.shape[:2]) < WINDOW:
        raise ImageError(f"SSIM needs {WINDOW} x {WINDOW} pixels inside the border, got {gt.shape[1]} x {gt.shape[0]}")


def _require_a_hole(mask: np.ndarray) -> None:
    if not mask.any():
        raise ImageError("scores of the hole need a mask with missing pixels inside the border; this one has none")
