"""PSNR and SSIM: how near a restored image is to its ground truth.

In: two arrays that ``Protocol.apply`` made, h x w x c float64 on the 8-bit scale; out: one number. SSIM is that of
Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004, as MATLAB and
BasicSR compute it: 11 x 11 Gaussian window of sigma 1.5, only where it lies wholly inside, mean over the channels.
"""

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
    error = float(np.mean(np.square(restored.astype(np.float64) - gt)))  # bytes would wrap
    return float("inf") if error == 0 else 10 * float(np.log10(WHITE**2 / error))


def ssim(restored: np.ndarray, gt: np.ndarray) -> float:
    """Structural similarity, at most 1.

    Raises:
        ImageError: an image smaller than the window.
    """
    if min(gt.shape[:2]) < WINDOW:
        raise ImageError(f"SSIM needs {WINDOW} x {WINDOW} pixels inside the border, got {gt.shape[1]} x {gt.shape[0]}")
    restored, gt = restored.astype(np.float64), gt.astype(np.float64)
    mean_x, mean_y = _local_mean(restored), _local_mean(gt)
    variance_x = _local_mean(restored**2) - mean_x**2
    variance_y = _local_mean(gt**2) - mean_y**2
    covariance = _local_mean(restored * gt) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return float(np.mean(luminance * structure))


def _local_mean(pixels: np.ndarray) -> np.ndarray:
    """Gaussian mean around every pixel whose window lies wholly inside."""
    margin = WINDOW // 2
    mean = cv2.GaussianBlur(pixels, (WINDOW, WINDOW), WINDOW_SIGMA)
    return mean[margin:-margin, margin:-margin]
