"""Make a picture of README.md or docs/networks.md: low-quality, restored and original photos side by side in a JPEG.

    python tools/before_after.py LOW_QUALITY RESTORED... ORIGINAL OUT.jpg

The folders have the same file names, and each makes a column. Smaller photos are enlarged by repeating pixels.
"""

import sys
from pathlib import Path

import numpy as np

from diffir.image_io import list_images, read_image, write_image

CUT = 256  # width and height of the crop from the middle of each photo, in pixels
GAP = 4  # white pixels between pictures
SHOWN = 2  # number of photos


def middle(path: Path, height: int) -> np.ndarray:
    """Enlarge a photo to the height and return its central CUT x CUT pixels with a white margin, uint8 RGB."""
    pixels = read_image(path).pixels
    scale = max(1, height // len(pixels))
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    top, left = (pixels.shape[0] - CUT) // 2, (pixels.shape[1] - CUT) // 2
    return np.pad(pixels[top : top + CUT, left : left + CUT], ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


def main() -> None:
    """Write the picture, with a row for each photo and a column for each folder."""
    *folders, out = (Path(argument) for argument in sys.argv[1:])
    names = [path.name for path in list_images(folders[0])][-SHOWN:][::-1]
    rows = []
    for name in names:
        height = len(read_image(folders[-1] / name).pixels)
        rows.append(np.hstack([middle(folder / name, height) for folder in folders]))
    write_image(out, np.vstack(rows)[:-GAP, :-GAP], quality=88)
    print(out)


if __name__ == "__main__":
    main()
