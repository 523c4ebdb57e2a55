"""Translate parameter names of released DiffIR checkpoints into those of this package.

In: one key of a released stage-1 or stage-2 file, without wrappers and prefixes. Out: the key of
``diffir.systems.diffir.DiffIR``. The layout follows from the key lists of the reference networks.
"""

import re

# Regular expressions that are applied in this order, and their replacements.
_RULES: tuple[tuple[str, str], ...] = (
    (r"^G\.patch_embed\.proj\.", "dirformer.patch_embed."),
    (r"^G\.tail\.1\.", "dirformer.output.output."),
    (r"^G\.", "dirformer."),
    (r"\.(norm[12])\.body\.", r".\1."),
    (r"\.kernel\.0\.", ".modulation.linear."),
    (r"\.((?:up|down)\d_\d)\.body\.0\.", r".\1.conv."),
    (r"^(?:E|condition)\.", "cpen."),
    (r"^cpen\.E\.0\.", "cpen.head."),
    (r"^denoise\.resmlp\.0\.", "denoiser.layers.0."),
)
# Indices in upstream's Sequentials count activations, too; ours count only layers with parameters.
_TAIL = re.compile(r"^dirformer\.tail\.0\.(\d+)\.")
_CPEN_BLOCK = re.compile(r"^cpen\.E\.(\d+)\.body\.([02])\.")
_CPEN_WIDEN = re.compile(r"^cpen\.E\.(\d+)\.")
_MLP = re.compile(r"^cpen\.mlp\.(\d+)\.")
_DENOISER = re.compile(r"^denoise\.resmlp\.(\d+)\.resmlp\.0\.")


def translate_key(key: str, cpen_blocks: int) -> str:
    """Translate one parameter name; ``cpen_blocks`` is the number of residual blocks of CPEN in the file."""
    for pattern, replacement in _RULES:
        key = re.sub(pattern, replacement, key)
    key = _TAIL.sub(lambda m: f"dirformer.output.upsample.{int(m[1]) // 2}.", key)
    key = _CPEN_BLOCK.sub(lambda m: f"cpen.blocks.{int(m[1]) - 2}.conv{int(m[2]) // 2 + 1}.", key)
    key = _CPEN_WIDEN.sub(lambda m: f"cpen.widen.{(int(m[1]) - 2 - cpen_blocks) // 2}.", key)
    key = _MLP.sub(lambda m: f"cpen.mlp.{int(m[1]) // 2}.", key)
    return _DENOISER.sub(lambda m: f"denoiser.layers.{int(m[1]) - 1}.", key)
