"""Restore a photo with several seeds: the mean of the results, and a map of where they differ.

In: a photo as ``image_io`` reads it. Out: two photos, the mean with the metadata of the photo, and the standard
deviation as a grey picture, whose metadata say what the grey values mean.
"""

from collections.abc import Sequence
from dataclasses import replace
from xml.sax.saxutils import escape

import numpy as np

from diffir.batch.events import Settings
from diffir.batch.restore_photos import restore_photos
from diffir.image_io import Photo
from diffir.inference.progress import part_of
from diffir.inference.restorer import OnProgress, Restorer
from diffir.inference.samples import IMAGE_SCALE, Samples

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def restore_mean(
    restorer: Restorer,
    photo: Photo,
    mask: np.ndarray | None,
    settings: Settings,
    seeds: Sequence[int],
    *,
    on_progress: OnProgress | None = None,
) -> tuple[Photo, Photo, str]:
    """Restore a photo once with each seed.

    Args:
        mask: (H, W), above 0 where pixels are missing.

    Returns:
        The mean of the results, the map of the standard deviation, and one line that describes both.
    """
    results: list[Photo] = []
    for number, seed in enumerate(seeds):
        progress = part_of(on_progress, number / len(seeds), (number + 1) / len(seeds))
        ((result, _),) = restore_photos(restorer.with_seed(seed), [photo], mask, settings, on_progress=progress)
        assert isinstance(result, Photo)
        results.append(result)
    return mean_of(results, restorer.name, seeds)


def mean_of(results: Sequence[Photo], model: str, seeds: Sequence[int]) -> tuple[Photo, Photo, str]:
    """Compute from results that are there already what ``restore_mean`` returns.

    Args:
        results: of one photo, one with each seed.
        model: name of the network that made them.
    """
    colours = Samples.of([result.pixels for result in results])
    opacities = [result.alpha for result in results if result.alpha is not None]
    mean = replace(results[0], pixels=colours.mean, alpha=Samples.of(opacities).mean if opacities else None)

    # Describe the map in the file itself, since a picture has no other scale.
    levels = 255 * float(colours.deviation.mean())
    summary = f"mean of {len(seeds)} results, seeds {seeds[0]} to {seeds[-1]}; standard deviation {levels:.2f} of 255"
    text = (
        f"Standard deviation over {len(seeds)} results of {model}, seeds {seeds[0]} to {seeds[-1]}, averaged "
        f"over the channels: the grey value divided by {IMAGE_SCALE}, in levels of 255. White: at least "
        f"{255 / IMAGE_SCALE:.1f} levels. Average: {levels:.2f} levels."
    )
    grey = Photo(colours.deviation_image[:, :, None], xmp=_XMP.format(escape(text)).encode("utf-8"))
    return mean, grey, summary
