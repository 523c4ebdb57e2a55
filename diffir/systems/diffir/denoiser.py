"""The denoiser of stage 2: predicts the clean prior from a noisy one.

In: x_t (B, P), the step t and the conditioning vector (B, P). Out: x_start (B, P). DiffIR (Xia et al., ICCV 2023),
section 3.2; like the released networks, it predicts x_start itself and not the noise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.systems.diffir.layers import LEAKY_SLOPE, init_bias_to_one


class Denoiser(nn.Module):
    """An MLP whose input is the concatenation of conditioning vector, time and x_t."""

    def __init__(self, prior_width: int, num_blocks: int, num_timesteps: int) -> None:
        super().__init__()
        self.num_timesteps = num_timesteps
        self.layers = nn.ModuleList(
            [nn.Linear(2 * prior_width + 1, prior_width)]
            + [nn.Linear(prior_width, prior_width) for _ in range(num_blocks)]
        )
        init_bias_to_one(self.layers[-1])

    def forward(self, x_t: Tensor, t: int, condition: Tensor) -> Tensor:
        # The released networks were trained with t / (10 T), rounded to float32 whatever the network's precision.
        time = torch.tensor(t / (10 * self.num_timesteps), dtype=torch.float32).to(x_t)
        x = torch.cat([condition, time.expand(len(x_t), 1), x_t], dim=1)
        for linear in self.layers:
            x = F.leaky_relu(linear(x), LEAKY_SLOPE)
        return x
