"""Latent diffusion: its networks, training stages, engine and released files (Rombach et al., CVPR 2022)."""
