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
    """SHA-256 of what decides a result of published weights; of all bytes of other files."""
    digest = hashlib.sha256()
    content = memoryview(path.read_bytes())
    if is_safetensors(path):
        header = read_header(path)
        try:
            card = WeightsCard.from_metadata(header.metadata, str(path))
        except WeightsError:
            pass  # of others: nothing says what could be left out
        else:
            # As they stand in the file: a version that knows more settings must find the same.
            settings = json.loads(header.metadata[METADATA_KEY])["settings"]
            told = [settings, card.stage, card.patch, header.shapes, header.dtypes]
            digest.update(json.dumps(told, sort_keys=True).encode())
            content = content[header.data_start :]
    digest.update(content)
    return digest.hexdigest()
