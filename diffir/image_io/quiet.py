"""Silence Pillow, OpenCV, tifffile and libtiff while files are read, and switch off Pillow's limit on pixels.

``photo.Limits`` limits the pixels instead. These settings belong to the whole process, while several threads may read
files at once. Therefore the first reader changes them and the last one restores them; a counter under a lock tells
who is first and last.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import cv2
from PIL import Image

from diffir.image_io.libtiff_words import keep_words

_LOGGERS = ("PIL", "tifffile")
_SILENT = 0  # OpenCV's number of LOG_LEVEL_SILENT
_lock = threading.Lock()
_readers = 0
_restoration = ExitStack()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Suppress warnings and log lines, and let Pillow accept any size, until the last reader has left the context."""
    global _readers
    with _lock:
        if _readers == 0:
            _silence(_restoration)
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if _readers == 0:
                _restoration.close()


def _silence(restoration: ExitStack) -> None:
    """Change the settings, and register in ``restoration`` how each one is restored."""
    restoration.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        restoration.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)
    # Versions from 4.13 on have the function in a module, older ones in cv2 itself.
    set_log_level = (cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2).setLogLevel
    restoration.callback(set_log_level, set_log_level(_SILENT))
    restoration.callback(keep_words())
    restoration.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    Image.MAX_IMAGE_PIXELS = None
