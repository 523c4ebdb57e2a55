"""The way of a hand-held camera during one exposure, which is what motion blur is made of.

Out: points in the plane, in pixels. The camera has a steady speed; its direction drifts as a random walk and, rarely,
is thrown back by an impulse. After Boracchi and Foi, "Modeling the performance of image restoration from motion blur",
TIP 2012, and Kupyn et al., "DeblurGAN", CVPR 2018, told by the direction instead of the velocity.
"""

import math

import numpy as np

_POINTS_A_PIXEL = 4  # dense enough that no pixel of the path is skipped; a matter of taste
_REBOUND = 0.5  # radians; an impulse turns back up to this much aside, as in DeblurGAN


def camera_path(length: float, turns: float, impulses: float, rng: np.random.Generator) -> np.ndarray:
    """(T,) complex, x + iy: a path whose points are all as far from the next.

    Args:
        length: from end to end along the path, in pixels.
        turns: how far the direction has drifted at the end, standard deviation in radians; 0 is a straight line.
        impulses: how many times the camera is thrown back, on average.
    """
    steps = max(1, math.ceil(length * _POINTS_A_PIXEL))
    drift = rng.normal(0, turns / math.sqrt(steps), steps)
    rebounds = (rng.random(steps) < impulses / steps) * (math.pi + rng.uniform(-_REBOUND, _REBOUND, steps))
    direction = rng.uniform(0, 2 * math.pi) + np.cumsum(drift + rebounds)
    return np.concatenate([[0], np.cumsum(length / steps * np.exp(1j * direction))])
