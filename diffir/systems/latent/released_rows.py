"""The weights of latent diffusion that can be downloaded today.

The authors' own links are dead. Their super-resolution network is on the hub, as a folder in diffusers' layout; files
of their other networks are read by ``diffir convert`` wherever users still have them.
"""

from diffir.system import ReleasedRow
from diffir.systems.latent.rows import ROWS

HUB = "https://huggingface.co/CompVis/ldm-super-resolution-4x-openimages"

RELEASED_ROWS = (
    ReleasedRow(
        name="official_ldm_sr_x4",
        task="bsr_sr",
        facts=ROWS["bsr_sr"].settings.facts,
        summary=f"{ROWS['bsr_sr'].summary} (released by the authors, a folder in diffusers' layout)",
        parameters=168_945_345,  # a test builds the network and compares
        url=HUB,
    ),
)
