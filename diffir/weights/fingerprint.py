"""Which weights these are, whatever is written beside them.

In: a weights file. Out: 64 hexadecimal digits that change with the tensors and with what the card says of the network
and its training, but not with the name, scores and notes that a card is given after the weights were measured.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from diffir.errors import WeightsError
from diffir.weights.card import WeightsCard
from diffir.weights.header import is_safetensors, read_header

_GIVEN_LATER = ("name", "scores", "notes")


def fingerprint(path: Path) -> str:
    """SHA-256 of tensors and card of published weights, without name, scores and notes; of all bytes of other files."""
    digest = hashlib.sha256()
    content = memoryview(path.read_bytes())
    if is_safetensors(path):
        header = read_header(path)
        try:
            card = WeightsCard.from_metadata(header.metadata, str(path))
        except WeightsError:
            pass  # of others: nothing says what could be left out
        else:
            said = {key: value for key, value in asdict(card).items() if key not in _GIVEN_LATER}
            digest.update(json.dumps([said, header.shapes, header.dtypes], sort_keys=True).encode())
            content = content[header.data_start :]
    digest.update(content)
    return digest.hexdigest()
