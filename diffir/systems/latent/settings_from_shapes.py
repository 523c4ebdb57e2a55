"""Find the settings of a released latent diffusion network from the shapes of its tensors.

In: tensors with the released names. Out: settings of the autoencoder, which the shapes determine completely, and of the
denoiser, whose number of attention heads is in no tensor. So a whole network is known only if it is a row of the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from diffir.errors import ConfigError, WeightsError
from diffir.systems.latent.rows import ROWS, Row
from diffir.systems.latent.settings import AutoencoderSettings, DenoiserSettings


class Shapes:
    """Shapes of the tensors of one network, with errors that name the tensor as the file does."""

    def __init__(self, state: Mapping[str, Tensor], prefix: str, source: str) -> None:
        """
        Args:
            state: tensors by name, without ``prefix``.
            prefix: beginning of the names in the file, for messages.
            source: the file, for messages.
        """
        self._state = state
        self._prefix = prefix
        self._source = source

    def of(self, name: str, sides: int) -> tuple[int, ...]:
        """The shape of a tensor that has this many sides.

        Raises:
            WeightsError: there is no such tensor, or its shape is no weight's.
        """
        if name not in self._state:
            raise self.error(f"{self._prefix}{name} is missing")
        shape = tuple(self._state[name].shape)
        if len(shape) != sides or 0 in shape:
            raise self.error(f"{self._prefix}{name} has the unexpected shape {shape}")
        return shape

    def has(self, start: str) -> bool:
        """True if the name of a tensor begins like this."""
        return any(name.startswith(start) for name in self._state)

    def count(self, start: str) -> int:
        """Number of members of a list of modules: tensors begin with ``start``, then a number from 0, then a dot."""
        number = 0
        while self.has(f"{start}{number}."):
            number += 1
        return number

    def error(self, what: str) -> WeightsError:
        """The error for a file that holds something else than a network of this system."""
        return WeightsError(f"{self._source} is not a latent diffusion checkpoint that diffir understands: {what}")

    def multiples(self, widths: list[int], channels: int) -> tuple[int, ...]:
        """The widths of the levels as multiples of the width of the first convolution."""
        if not widths or any(width % channels for width in widths):
            raise self.error(f"the widths of its levels, {widths}, are not multiples of {channels}")
        return tuple(width // channels for width in widths)


def autoencoder_settings(shapes: Shapes) -> AutoencoderSettings:
    """Settings of a released autoencoder; raises WeightsError if tensors are missing or it has another structure."""
    channels = shapes.of("encoder.conv_in.weight", 4)[0]
    levels = range(shapes.count("encoder.down."))
    widths = [shapes.of(f"encoder.down.{level}.block.0.conv1.weight", 4)[0] for level in levels]
    z_channels, latent_channels = shapes.of("post_quant_conv.weight", 4)[:2]
    has_codes = shapes.of("quant_conv.weight", 4)[0] == latent_channels  # kl has means and variances there
    try:
        return AutoencoderSettings(
            regulariser="vq" if has_codes else "kl",
            channels=channels,
            multipliers=shapes.multiples(widths, channels),
            num_blocks=shapes.count("encoder.down.0.block."),
            z_channels=z_channels,
            latent_channels=latent_channels,
            codes=shapes.of("quantize.embedding.weight", 2)[0] if has_codes else AutoencoderSettings().codes,
            attention_factors=tuple(2**level for level in levels if shapes.has(f"encoder.down.{level}.attn.")),
            mid_attention=shapes.has("encoder.mid.attn_1."),
        )
    except ConfigError as error:
        raise shapes.error(str(error)) from error


def denoiser_settings(shapes: Shapes) -> DenoiserSettings:
    """Settings of a released denoiser with one attention head, since no tensor tells their number.

    Raises:
        WeightsError: tensors are missing, or it has another structure.
    """
    if any(shapes.has(f"middle_block.1.{name}.") for name in ("proj_in", "transformer_blocks")):
        raise shapes.error("its denoiser has cross-attention, so it reads texts or layouts, and cannot restore photos")
    channels = shapes.of("time_embed.0.weight", 2)[1]

    # The last block of each level but one is followed by the layer that enlarges.
    steps = shapes.count("output_blocks.")
    enlarging = {"convolution": ".conv.", "block": ".in_layers."}
    kinds = {
        number: kind
        for number in range(steps)
        for kind, name in enlarging.items()
        if any(shapes.has(f"output_blocks.{number}.{place}{name}") for place in (1, 2))
    }
    depth = min(kinds) + 1 if kinds else max(steps, 1)
    levels = range(steps // depth)
    if depth < 2 or steps % depth or list(kinds) != [depth * level - 1 for level in levels[1:]]:
        raise shapes.error("its output_blocks do not form levels of equal depth")

    first = [f"output_blocks.{depth * (len(levels) - 1 - level)}." for level in levels]
    widths = [shapes.of(f"{start}0.out_layers.3.weight", 4)[0] for start in first]
    try:
        return DenoiserSettings(
            channels=channels,
            multipliers=shapes.multiples(widths, channels),
            num_blocks=depth - 1,
            attention_factors=tuple(2**level for level in levels if shapes.has(f"{first[level]}1.norm.")),
            heads=1,
            updown_blocks="block" in kinds.values(),
            scale_shift=shapes.of("middle_block.0.emb_layers.1.weight", 2)[0] == 2 * widths[-1],
        )
    except ConfigError as error:
        raise shapes.error(str(error)) from error


@dataclass(frozen=True)
class Structure:
    """What a file tells of a whole network; what its condition means follows from the table, or from the caller."""

    autoencoder: AutoencoderSettings
    denoiser: DenoiserSettings
    condition_channels: int
    labels: int = 0

    def row(self, *, knows_heads: bool) -> Row | None:
        """The row of the table whose network has this structure; None if there is none.

        Args:
            knows_heads: compare the numbers of attention heads, too.
        """
        # Networks that diffuse differences are ours, and no other project writes files of them.
        rows = [row for row in ROWS.values() if not row.settings.diffusion.residual]
        return next((row for row in rows if _structure(row)._form(knows_heads) == self._form(knows_heads)), None)

    def _form(self, has_heads: bool) -> tuple[object, ...]:
        """Everything that decides the network, without settings that have no effect."""
        denoiser, last = self.denoiser, len(self.denoiser.multipliers) - 1
        attending = [level for level in range(last + 1) if 2**level in denoiser.attention_factors]
        widths = [denoiser.channels * denoiser.multipliers[level] for level in [*attending, last]]
        return (
            replace(self.autoencoder, codes=self.autoencoder.codes if self.autoencoder.regulariser == "vq" else 1),
            replace(denoiser, attention_factors=tuple(2**level for level in attending), heads=1, head_channels=0),
            [denoiser.num_heads(width) for width in widths] if has_heads else None,
            self.condition_channels,
            self.labels,
        )


def _structure(row: Row) -> Structure:
    settings = row.settings
    return Structure(settings.autoencoder, settings.denoiser, settings.condition_channels, settings.labels)
