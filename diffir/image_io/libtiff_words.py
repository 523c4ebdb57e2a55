"""Catch the lines that the libtiff inside Pillow would print on the terminal, for our own one line about the file.

libtiff has one handler of errors for the whole process, which prints. While files are read, ``quiet`` replaces it by
one that keeps the lines for the thread that decodes. Where the library cannot be reached, as in Pillow's builds for
Windows, nothing changes. Source: the manual page TIFFError(3).
"""

import ctypes
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import UnidentifiedImageError, _imaging

from diffir.errors import ImageError

_LONGEST = 200  # bytes of a line
# There, a va_list that is passed to a function is a pointer or is passed as one, as ctypes passes it.
_FORMATS = platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64")
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_kept = threading.local()


@contextmanager
def caught_words() -> Iterator[list[str]]:
    """Give the lines of libtiff while a file is decoded in this thread; the list grows until the block ends.

    Raises:
        ImageError: the decoder failed; the message has the first line instead of the decoder's number.
    """
    words: list[str] = []
    _kept.words = words
    try:
        yield words
    except OSError as error:
        if not words or isinstance(error, UnidentifiedImageError):
            raise
        raise ImageError(f"damaged or truncated ({words[0]})") from error
    finally:
        del _kept.words


def keep_words() -> Callable[[], None]:
    """Replace the handler of errors in Pillow's libtiff, and return a function that restores the one before."""
    library = ctypes.CDLL(_imaging.__file__)  # a name is searched in the libraries that it needs, too
    try:
        set_handler = library.TIFFSetErrorHandler
    except AttributeError:  # hidden, or Pillow has no libtiff
        return lambda: None
    set_handler.restype, set_handler.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    before = set_handler(ctypes.cast(_keep, ctypes.c_void_p))
    return lambda: set_handler(before) and None


@_HANDLER
def _keep(module: bytes | None, template: bytes | None, arguments: int | None) -> None:
    words = getattr(_kept, "words", None)
    if words is None:
        return
    text = template or b""
    if _FORMATS and template:
        buffer = ctypes.create_string_buffer(_LONGEST)
        ctypes.CDLL(None).vsnprintf(buffer, ctypes.c_size_t(_LONGEST), template, ctypes.c_void_p(arguments))
        text = buffer.value
    line = b": ".join(filter(None, [module, text])).decode("ascii", "replace")
    words.append(" ".join(line.split()))
