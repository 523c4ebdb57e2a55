"""Which weights these are, whatever is written beside them.

In: a weights file. Out: 64 hexadecimal digits that change with what decides a result: the tensors, the settings of the
network and the patches it was trained with (which ``local`` statistics follow). Words and scores of the card are left
out: they are written after the weights were measured.
"""

import hashlib
import json
from pathlib import Path

from diffir.errors import WeightsError
from diffir.weights.card import METADATA_KEY, WeightsCard
from diffir.weights.header import is_safetensors, read_header


def fingerprint(path: Path) -> str:
    """SHA-256 of everything in published weights that decides their results; for other files, of all bytes."""
    digest = hashlib.sha256()
    content = memoryview(path.read_bytes())
    if is_safetensors(path):
        header = read_header(path)
        try:
            card = WeightsCard.from_metadata(header.metadata, str(path))
        except WeightsError:
            pass  # a file without a card: nothing says what could be left out
        else:
            # The settings as they stand in the file: a version that knows more of them must find the same. Stage number
            # and patch (in pixels of lq) are written as version 0.1 did, so that kept scores stay valid.
            settings = json.loads(header.metadata[METADATA_KEY])["settings"]
            scale = settings.get("upsample", 1) // settings.get("unshuffle", 1)
            patch = None if card.gt_patch is None else card.gt_patch // scale
            part = {"prior": 1, "diffusion": 2}.get(card.part, card.part)
            facts = [settings, part, patch, header.shapes, header.dtypes]
            digest.update(json.dumps(facts, sort_keys=True).encode())
            content = content[header.data_start :]
    digest.update(content)
    return digest.hexdigest()
