"""The two regularisers of the latent: a normal distribution near the standard one (kl), and a codebook (vq).

Source: Rombach et al., CVPR 2022, section 3.1 and appendix G; van den Oord et al., "Neural Discrete Representation
Learning", NeurIPS 2017.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, distributed, nn

CODE_WEIGHT = 0.25
"""Weight of the term that moves the codes towards the latents. The paper of VQ-VAE puts beta on the other term, which
moves the latents; the released networks were trained with it here, and we keep their form."""
LOG_VARIANCE_RANGE = (-30.0, 20.0)
K_MEANS_ROUNDS = 10


@dataclass(frozen=True)
class NormalLatent:
    """Normal distribution of latents: mean and log variance, each (B, Z, h, w)."""

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def of_moments(cls, moments: Tensor) -> "NormalLatent":
        """Split the encoder's output (B, 2 Z, h, w) into means and log variances."""
        mean, log_variance = moments.chunk(2, dim=1)
        return cls(mean, log_variance.clamp(*LOG_VARIANCE_RANGE))

    def sample(self, noise: Tensor) -> Tensor:
        """Draw latents (B, Z, h, w) with standard normal noise of the same shape."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def divergence(self) -> Tensor:
        """KL divergence from the standard normal distribution, in nats: (B,), the sum over all elements."""
        mean, log_variance = self.mean, self.log_variance
        if mean.dtype in (torch.bfloat16, torch.float16):
            mean, log_variance = mean.float(), log_variance.float()
        terms = mean.square() + log_variance.exp() - 1 - log_variance
        return 0.5 * terms.sum(dim=(1, 2, 3))


class Quantised(NamedTuple):
    """Latents after rounding, and what training needs of it."""

    latents: Tensor
    """(B, Z, h, w); their gradient passes to the latents before rounding."""
    codes: Tensor
    """Numbers of the nearest codes, (B, h, w)."""
    loss: Tensor
    """Scalar that draws latents and codes to each other."""


class Codebook(nn.Module):
    """Rounds each latent vector to the nearest of K codes in Euclidean distance."""

    idle: Tensor

    def __init__(self, codes: int, channels: int, *, counts_use: bool = False) -> None:
        """
        Args:
            counts_use: keep the number of steps since each code was used, which ``restart_unused`` needs.
        """
        super().__init__()
        # Empty at first: the normal distribution of a new nn.Embedding loads torch's compiler on the device "meta".
        self.embedding = nn.Embedding.from_pretrained(torch.empty(codes, channels), freeze=False)
        if counts_use:
            self.register_buffer("idle", torch.zeros(codes, dtype=torch.int64))
        nn.init.uniform_(self.embedding.weight, -1 / codes, 1 / codes)

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, latents: Tensor) -> Quantised:
        latents = latents.to(self.embedding.weight.dtype)  # half precision would round to other codes
        vectors = rearrange(latents, "b c h w -> (b h w) c")
        codes = self.nearest(vectors)
        chosen = rearrange(self.embedding(codes), "(b h w) c -> b c h w", b=len(latents), h=latents.shape[2])
        to_codes = (chosen.detach() - latents).square().mean()
        to_latents = (chosen - latents.detach()).square().mean()
        rounded = latents + (chosen - latents).detach()  # straight-through estimator
        shape = (len(latents), *latents.shape[2:])
        return Quantised(rounded, codes.view(shape), to_codes + CODE_WEIGHT * to_latents)

    @torch.no_grad()
    def nearest(self, vectors: Tensor) -> Tensor:
        """Number of the nearest code for each vector: (N, Z) -> (N,); in blocks, because every distance is stored."""
        table = self.embedding.weight
        vectors = vectors.to(table.dtype)
        lengths = table.square().sum(dim=1)
        blocks = vectors.split(max(1, 2**24 // len(table)))
        return torch.cat([(lengths - 2 * block @ table.T).argmin(dim=1) for block in blocks])

    @torch.no_grad()
    def spread_over(self, latents: Tensor) -> None:
        """Move the codes to the centres of clusters of latents (B, Z, h, w), by a few rounds of k-means."""
        vectors = rearrange(latents, "b c h w -> (b h w) c")
        table = self.embedding.weight
        drawn = torch.randperm(len(vectors))[: len(table)]  # codes beyond the number of vectors keep their values
        table[: len(drawn)] = vectors[drawn]
        for _ in range(K_MEANS_ROUNDS):
            codes = self.nearest(vectors)
            counts = torch.bincount(codes, minlength=len(table))[:, None]
            sums = torch.zeros_like(table).index_add_(0, codes, vectors)
            table.copy_(torch.where(counts > 0, sums / counts.clamp_min(1), table))

    @torch.no_grad()
    def restart_unused(self, latents: Tensor, patience: int) -> None:
        """Count the steps since each code was used, and replace those unused for ``patience`` steps.

        A replaced code becomes one of the latents (B, Z, h, w), which are taken at equal distances.
        """
        vectors = rearrange(latents, "b c h w -> (b h w) c").to(self.embedding.weight.dtype)
        counts = torch.bincount(self.nearest(vectors), minlength=len(self.idle))
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(counts)
            distributed.broadcast(vectors, 0)
        self.idle.add_(1).masked_fill_(counts > 0, 0)
        unused = (self.idle >= patience).nonzero().flatten()
        if len(unused):
            order = torch.linspace(0, len(vectors) - 1, len(unused), device=vectors.device).long()
            self.embedding.weight[unused] = vectors[order]
            self.idle[unused] = 0

    def usage(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Share of the codes that occur, and their perplexity: exp of the entropy of their frequencies."""
        counts = torch.bincount(codes.flatten(), minlength=self.embedding.num_embeddings).float()
        frequencies = counts / counts.sum()
        entropy = -(frequencies * frequencies.clamp_min(1e-12).log()).sum()
        return (counts > 0).float().mean(), entropy.exp()
