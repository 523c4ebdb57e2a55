"""Damage to the surface of a print or film: scratches, dust and hairs, and folds that crack the emulsion.

In: one image (1, 3, H, W) float around [0, 1], RGB, any device, and its ``Draw``. Out: the same shape.
Each mark has an opacity a and a light or dark paint c, so that y lies between the photo and the paint. Shapes and
ranges are a matter of taste; they were chosen by comparison with scans of old prints.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.particles import AREA
from diffir.degradations.shapes.surface_paint import Canvas, ragged, wander, wear
from diffir.field_ranges import Within, check_fields

LINE_SEGMENTS = 24  # straight segments of a scratch or a hair


@dataclass(frozen=True)
class Scratches:
    """y = (1 - a) x + a c: long, thin, nearly straight lines along the film; each has its own c."""

    count: Annotated[tuple[int, int], Within(0, 1000)] = (1, 12)
    """Number of scratches in the photo."""
    length: Annotated[tuple[float, float], Within(0, 10)] = (0.1, 1.3)
    """Length of a scratch over the height of the photo."""
    width: Annotated[tuple[float, float], Within(0.5, 50)] = (0.5, 1.6)
    """Width of a scratch, in pixels."""
    tilt: Annotated[float, Within(0, 90)] = 8.0
    """Largest angle from vertical, in degrees; one scratch in five has any direction."""
    opacity: Annotated[tuple[float, float], Within(0, 1)] = (0.2, 0.9)
    """Opacity a of a scratch at its clearest."""
    dark_prob: Annotated[float, Within(0, 1)] = 0.3
    """Share of dark scratches; the others are light."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        size, random = (image.shape[2], image.shape[3]), draw.numpy()
        canvas = Canvas(size)
        for _ in range(draw.integer(*self.count)):
            # Direction along the scratch: nearly straight, with a bend and a wobble.
            tilt = 90 if random.random() < 0.2 else self.tilt
            lean = np.deg2rad(random.uniform(-tilt, tilt))
            bend = random.normal(0, 0.1) * np.linspace(-1, 1, LINE_SEGMENTS)
            wobble = random.normal(0, 0.012, LINE_SEGMENTS).cumsum()
            # Place, length, and opacity along the scratch, with gaps.
            length = random.uniform(*self.length) * size[0]
            start = random.uniform(0, size) - 0.3 * length * np.array([np.cos(lean), np.sin(lean)])
            left = random.uniform(*self.opacity) * wear(LINE_SEGMENTS, random, gaps=0.2)
            path = wander(start, length, lean + bend + wobble)
            canvas.line(path, random.uniform(*self.width), left, is_dark=random.random() < self.dark_prob)
        return canvas.over(image, random)


@dataclass(frozen=True)
class Dust:
    """y = (1 - a) x + a c: specks and curled hairs on the film or on the glass of the scanner; each has its own c."""

    specks: Annotated[tuple[float, float], Within(0, 1000)] = (0.5, 8.0)
    """Number of specks per square of 100 x 100 pixels."""
    hairs: Annotated[tuple[int, int], Within(0, 1000)] = (0, 4)
    """Number of hairs in the photo."""
    radius: Annotated[tuple[float, float], Within(0.25, 50)] = (0.3, 1.8)
    """Radius of a speck, in pixels; small specks are more frequent."""
    hair_length: Annotated[tuple[float, float], Within(1, 2000)] = (15.0, 70.0)
    """Length of a hair, in pixels."""
    opacity: Annotated[tuple[float, float], Within(0, 1)] = (0.3, 0.95)
    """Opacity a of a speck or a hair."""
    dark_prob: Annotated[float, Within(0, 1)] = 0.3
    """Share of dark specks and hairs; the others are light."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        canvas, random = Canvas((image.shape[2], image.shape[3])), draw.numpy()
        self._add_specks(canvas, draw.uniform(*self.specks), random)
        self._add_hairs(canvas, draw.integer(*self.hairs), random)
        return canvas.over(image, random)

    def _add_specks(self, canvas: Canvas, density: float, random: np.random.Generator) -> None:
        small, large = self.radius
        for _ in range(random.poisson(density * canvas.size[0] * canvas.size[1] / AREA)):
            # An ellipse; the cube makes small radii more frequent.
            axes = (small + (large - small) * random.random() ** 3) * random.uniform(0.6, 1.5, 2)
            place, turn, is_dark = (
                random.uniform(0, canvas.size),
                random.uniform(0, 180),
                random.random() < self.dark_prob,
            )
            canvas.speck(place, axes, turn, random.uniform(*self.opacity), is_dark=is_dark)

    def _add_hairs(self, canvas: Canvas, count: int, random: np.random.Generator) -> None:
        for _ in range(count):
            # The curvature is a random walk, and the direction its sum.
            curl = random.normal(0, 0.1) + random.normal(0, 0.03, LINE_SEGMENTS).cumsum()
            headings = random.uniform(0, 2 * np.pi) + curl.cumsum()
            path = wander(random.uniform(0, canvas.size), random.uniform(*self.hair_length), headings)
            opacities = np.full(LINE_SEGMENTS, random.uniform(*self.opacity))
            canvas.line(path, random.uniform(0.5, 1.2), opacities, is_dark=random.random() < self.dark_prob)


@dataclass(frozen=True)
class Folds:
    """y = (1 - a) x + a c: ragged cracks where the photo was folded, with branches and lost flakes; c is bare paper."""

    count: Annotated[tuple[int, int], Within(0, 100)] = (1, 3)
    """Number of folds in the photo."""
    width: Annotated[tuple[float, float], Within(0.5, 100)] = (1.0, 5.0)
    """Largest width of a crack, in pixels."""
    roughness: Annotated[tuple[float, float], Within(0, 1)] = (0.01, 0.03)
    """Distance of a crack from the straight fold over the length of the fold (standard deviation)."""
    opacity: Annotated[tuple[float, float], Within(0, 1)] = (0.6, 1.0)
    """Opacity a of a crack."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        canvas, random = Canvas((image.shape[2], image.shape[3])), draw.numpy()
        for _ in range(draw.integer(*self.count)):
            # The crack along the fold.
            start, end = _fold(canvas.size, random)
            width, opacity = random.uniform(*self.width), random.uniform(*self.opacity)
            crack = ragged(start, end, random.uniform(*self.roughness), random)
            self._add_crack(canvas, crack, width, opacity, random)
            # Up to three narrower branches that start on the crack.
            for _ in range(random.integers(0, 4)):
                root = crack[random.integers(len(crack))]
                tip = root + (end - start) * random.normal(0, 0.15) + random.normal(0, 2.5 * width, 2)
                self._add_crack(canvas, ragged(root, tip, 0.05, random), 0.25 * width, opacity, random)
        return canvas.over(image, random)

    def _add_crack(
        self, canvas: Canvas, path: np.ndarray, width: float, opacity: float, random: np.random.Generator
    ) -> None:
        """Draw a crack of changing width, and the places beside it where flakes of emulsion fell off."""
        widths = width * wear(len(path), random, gaps=0.1) * random.uniform(0.5, 1, len(path))
        canvas.ribbon(path, widths, opacity, is_dark=False)
        for _ in range(random.poisson(0.6 * width * len(path) / 10)):
            beside = path[random.integers(len(path))] + random.normal(0, width / 2, 2)
            canvas.speck(beside, random.uniform(0.15, 0.35, 2) * width, random.uniform(0, 180), opacity, is_dark=False)


def _fold(size: tuple[int, int], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the ends (y, x) of a fold: across the photo, across a corner, or from one side into the photo."""
    sides = np.array(size, dtype=np.float64)
    kind = random.choice(["across", "corner", "inwards"])
    along = random.integers(2)  # the axis the fold follows
    start, end = random.uniform(0.15, 0.85, (2, 2))
    # Ends in shares of the sides: 0 is the top or left border, 1 the bottom or right one.
    if kind == "corner":
        reach = random.uniform(0.15, 0.5, 2)
        start, end = np.array([reach[0], 0.0]), np.array([0.0, reach[1]])
        is_far = random.random(2) < 0.5
        start, end = np.where(is_far, 1 - start, start), np.where(is_far, 1 - end, end)
    else:
        start[along], end[1 - along] = -0.02, start[1 - along] + random.normal(0, 0.06)
        end[along] = 1.02 if kind == "across" else random.uniform(0.2, 0.8)
    return start * sides, end * sides
