"""Random path of a hand-held camera during one exposure, from which motion blur is computed.

Out: points in the plane, in pixels. The camera has a constant speed; its direction drifts as a random walk and is
sometimes reversed by an impulse. After Boracchi and Foi, "Modeling the performance of image restoration from motion
blur", TIP 2012, and Kupyn et al., "DeblurGAN", CVPR 2018, but modelled by the direction instead of the velocity.
"""

import math

import numpy as np

_POINTS_PER_PIXEL = 4  # dense enough that the path skips no pixel; a matter of taste
_REBOUND = 0.5  # radians; largest deviation of an impulse from the reverse direction, as in DeblurGAN


def camera_path(length: float, turns: float, impulses: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a path of equally spaced points, (T,) complex, x + iy.

    Args:
        length: length of the path in pixels.
        turns: standard deviation of the drift of the direction at the end, in radians; 0 is a straight line.
        impulses: mean number of impulses that reverse the direction.
    """
    steps = max(1, math.ceil(length * _POINTS_PER_PIXEL))
    drift = rng.normal(0, turns / math.sqrt(steps), steps)
    rebounds = (rng.random(steps) < impulses / steps) * (math.pi + rng.uniform(-_REBOUND, _REBOUND, steps))
    direction = rng.uniform(0, 2 * math.pi) + np.cumsum(drift + rebounds)
    return np.concatenate([[0], np.cumsum(length / steps * np.exp(1j * direction))])
