"""What foreign decoders may do while we call them: warn nobody, and leave the limit on pixels to us.

Pillow, OpenCV and tifffile keep that in variables of the whole process, while several threads read files at once. So
the first reader sets them, the last one puts back what it found, and a count under a lock says which is which.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import cv2
from PIL import Image

_LOGGERS = ("PIL", "tifffile")
_lock = threading.Lock()
_readers = 0
_restoration = ExitStack()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Until the last reader has left: no warnings, no log lines, and Pillow accepts any size."""
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
    restoration.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        restoration.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)
    logs = cv2.utils.logging
    restoration.callback(logs.setLogLevel, logs.setLogLevel(logs.LOG_LEVEL_SILENT))
    restoration.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    Image.MAX_IMAGE_PIXELS = None
