"""Make the pictures of README.md and docs/networks.md: damaged, restored and clean photos side by side, one JPEG.

python tools/before_after.py DAMAGED RESTORED CLEAN OUT.jpg   (three folders with the same file names)
Damaged photos that are smaller are shown with their pixels repeated.
"""

import sys
from pathlib import Path

import numpy as np

from diffir.image_io import list_images, read_image, write_image

CUT = 256  # pixels shown of each photo, from the middle
GAP = 4  # white pixels between pictures
SHOWN = 2  # photos


def middle(path: Path, height: int) -> np.ndarray:
    """The central CUT x CUT pixels of a photo blown up to that height, H x W x 3 uint8 RGB."""
    pixels = read_image(path).pixels
    scale = max(1, height // len(pixels))
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    top, left = (pixels.shape[0] - CUT) // 2, (pixels.shape[1] - CUT) // 2
    return np.pad(pixels[top : top + CUT, left : left + CUT], ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


def main() -> None:
    """Rows are photos, columns the folders."""
    *folders, out = (Path(argument) for argument in sys.argv[1:5])
    names = [path.name for path in list_images(folders[0])][-SHOWN:][::-1]
    rows = []
    for name in names:
        height = len(read_image(folders[-1] / name).pixels)
        rows.append(np.hstack([middle(folder / name, height) for folder in folders]))
    write_image(out, np.vstack(rows)[:-GAP, :-GAP], quality=88)
    print(out)


if __name__ == "__main__":
    main()
