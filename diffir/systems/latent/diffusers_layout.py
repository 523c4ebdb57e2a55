"""Translate tensors of the library diffusers into the released names and shapes, and back.

In: tensors of a ``UNet2DModel``, ``VQModel`` or ``AutoencoderKL``, and our network on the device "meta". Out: the
tensors under the released names, which are ours; ``in_their_layout`` is the inverse. The names were established by
comparing outputs with the reference figures.
"""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from diffir.errors import WeightsError
from diffir.systems.latent.settings import DenoiserSettings

Names = Callable[[str], tuple[str, ...]]
"""A function from a released name to the name in diffusers, or to the three names of query, key and value."""

# Released name -> name in diffusers, applied in this order.
_AUTOENCODER = (
    (r"\.norm_out\.", ".conv_norm_out."),
    (r"^encoder\.down\.(\d+)\.block\.", r"encoder.down_blocks.\1.resnets."),
    (r"^encoder\.down\.(\d+)\.attn\.", r"encoder.down_blocks.\1.attentions."),
    (r"^encoder\.down\.(\d+)\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0."),
    (r"^decoder\.up\.(\d+)\.block\.", r"decoder.up_blocks.\1.resnets."),
    (r"^decoder\.up\.(\d+)\.attn\.", r"decoder.up_blocks.\1.attentions."),
    (r"^decoder\.up\.(\d+)\.upsample\.", r"decoder.up_blocks.\1.upsamplers.0."),
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.", ".mid_block.attentions.0."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"(\.attentions\.\d+)\.norm\.", r"\1.group_norm."),
    (r"(\.attentions\.\d+)\.([qkv])\.", r"\1.to_\2."),
    (r"(\.attentions\.\d+)\.proj_out\.", r"\1.to_out.0."),
)
_DENOISER_LAYERS = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
    "norm": "group_norm",
    "proj_out": "to_out.0",
    "op": "conv",
}
_DENOISER_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_MIDDLE = ("resnets.0", "attentions.0", "resnets.1")
_ATTENTION = ("norm", "qkv", "proj_out")
# Names of the layers of attention in files written before diffusers 0.17.
_EARLIER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def autoencoder_names(levels: int) -> Names:
    """The function of names for an autoencoder with this many levels."""

    def names(released: str) -> tuple[str, ...]:
        for pattern, replacement in _AUTOENCODER:
            released = re.sub(pattern, replacement, released)
        # The released decoder counts its levels from the highest resolution, that of diffusers from the lowest.
        return (re.sub(r"(?<=\.up_blocks\.)\d+", lambda match: str(levels - 1 - int(match[0])), released),)

    return names


def denoiser_names(settings: DenoiserSettings) -> Names:
    """The function of names for a denoiser with these settings."""
    depth = settings.num_blocks + 1

    def place_of(part: str, step: int, number: int, is_attention: bool) -> str:
        if part == "middle_block":
            return f"mid_block.{_MIDDLE[step]}"
        if part == "input_blocks":
            level, block = divmod(step - 1, depth)
            if block == settings.num_blocks:
                return f"down_blocks.{level}.downsamplers.0"
            return f"down_blocks.{level}.{'attentions' if is_attention else 'resnets'}.{block}"
        level, block = divmod(step, depth)
        if number and not is_attention:
            return f"up_blocks.{level}.upsamplers.0"
        return f"up_blocks.{level}.{'attentions' if is_attention else 'resnets'}.{block}"

    def names(released: str) -> tuple[str, ...]:
        module, _, kind = released.rpartition(".")
        if module in _DENOISER_ENDS:
            return (f"{_DENOISER_ENDS[module]}.{kind}",)
        # input_blocks.STEP.NUMBER.LAYER and output_blocks alike; middle_block.STEP.LAYER
        part, step, rest = module.split(".", 2)
        number, layer = ("0", rest) if part == "middle_block" else rest.split(".", 1)
        place = place_of(part, int(step), int(number), layer in _ATTENTION)
        if layer == "qkv":
            return tuple(f"{place}.to_{name}.{kind}" for name in "qkv")
        return (f"{place}.{_DENOISER_LAYERS.get(layer, layer)}.{kind}",)

    return names


def translated(
    expected: Mapping[str, Tensor],
    names: Names,
    state: Mapping[str, Tensor],
    source: str,
    *,
    num_heads: Callable[[int], int] = lambda width: 1,
) -> dict[str, Tensor]:
    """Return the tensors of ``state`` under the released names.

    Args:
        expected: state dict of our network; its tensors may be on the device "meta".
        num_heads: number of attention heads at a width in channels.
        source: the file, for messages.

    Raises:
        WeightsError: a tensor is missing, has another shape, or is not a part of the network.
    """
    used: set[str] = set()

    def take(name: str, shape: tuple[int, ...]) -> Tensor:
        found = name if name in state else _earlier_name(name)
        if found not in state:
            raise WeightsError(f"{source}: {name} is missing, which config.json asks for")
        used.add(found)
        if _without_ones(state[found].shape) != _without_ones(shape):
            raise WeightsError(
                f"{source}: {found} is {_sides(state[found].shape)}, and config.json asks for {_sides(shape)}"
            )
        return state[found].reshape(shape)

    ours = {}
    for released, like in expected.items():
        found, shape = names(released), tuple(like.shape)
        if len(found) == 1:
            ours[released] = take(found[0], shape)
            continue
        width = shape[0] // 3
        parts = [take(name, (width, *shape[1:])) for name in found]
        # The released layer has query, key and value of the first head, then those of the second, and so on.
        by_head = [part.reshape(num_heads(width), -1, *shape[1:]) for part in parts]
        ours[released] = torch.stack(by_head, dim=1).reshape(shape)

    unknown = min(state.keys() - used, default=None)
    if unknown is not None:
        raise WeightsError(f"{source}: {unknown} is not a part of the network that config.json describes")
    return ours


def in_their_layout(
    state: Mapping[str, Tensor], names: Names, *, num_heads: Callable[[int], int] = lambda width: 1
) -> dict[str, Tensor]:
    """Return our tensors under the names and in the shapes of diffusers; arguments as for ``translated``."""
    theirs: dict[str, Tensor] = {}
    for released, tensor in state.items():
        found = names(released)
        is_matrix = ".attentions." in found[0] and tensor.ndim > 1  # a 1 x 1 convolution with us
        values = tensor.detach().cpu().flatten(1) if is_matrix else tensor.detach().cpu()
        if len(found) == 1:
            theirs[found[0]] = values.contiguous()
            continue
        by_head = values.reshape(num_heads(len(values) // 3), 3, -1, *values.shape[1:])
        theirs |= {name: by_head[:, part].flatten(0, 1).contiguous() for part, name in enumerate(found)}
    return theirs


def _earlier_name(name: str) -> str:
    for now, before in _EARLIER.items():
        name = name.replace(f".{now}.", f".{before}.")
    return name


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a 1 x 1 convolution as that of the matrix it is."""
    kept = list(shape)
    while kept and kept[-1] == 1:
        kept.pop()
    return tuple(kept)


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
