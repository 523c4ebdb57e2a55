"""Fingerprint of weights, which identifies them no matter how their card describes them.

In: a weights file, or a folder of several. Out: 64 hexadecimal digits, which depend on everything that decides a
result: the tensors, the settings of the network and the size of its training patches (used by ``local`` statistics).
Texts and scores of the card are left out, because they are written after the weights were measured.
"""

import hashlib
import json
from pathlib import Path

from diffir.errors import WeightsError
from diffir.weights.card import METADATA_KEY, WeightsCard
from diffir.weights.header import is_safetensors, read_header

IN_FOLDERS = (".json", ".safetensors", ".bin")  # files of settings and weights, in the folder and in those inside it
CHUNK = 1 << 20  # bytes read at a time


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of everything that decides the results of published weights; of all bytes for other files."""
    if path.is_dir():
        return _fingerprint_of_folder(path)
    digest = hashlib.sha256()
    pieces: list[tuple[int, int | None]] = [(0, None)]  # start and stop in bytes
    if is_safetensors(path):
        header = read_header(path)
        try:
            card = WeightsCard.from_metadata(header.metadata, str(path))
        except WeightsError:
            pass  # without a card nothing is known that could be left out
        else:
            # Use the settings as they are in the file, so that a version with more settings finds the same fingerprint.
            # Stage number and patch (in pixels of lq) have the form of version 0.1, so that saved scores stay valid.
            settings = json.loads(header.metadata[METADATA_KEY])["settings"]
            scale = settings.get("upsample", 1) // settings.get("unshuffle", 1)
            patch = None if card.gt_patch is None else card.gt_patch // scale
            part = {"prior": 1, "diffusion": 2}.get(card.part, card.part)
            facts = [settings, part, patch, header.shapes, header.dtypes]
            facts += [card.denoise_strength] * (card.denoise_strength is not None)
            digest.update(json.dumps(facts, sort_keys=True).encode())
            # Hash the tensors, without the one that repeats these facts.
            before, after = (header.data_start + place for place in header.description)
            pieces = [(header.data_start, before), (after, None)]
    for start, stop in pieces:
        _hash_file(path, digest, start, stop)
    return digest.hexdigest()


def _hash_file(path: Path, digest: "hashlib._Hash", start: int = 0, stop: int | None = None) -> None:
    """Add bytes of a file to a digest, from ``start`` to ``stop`` or the end, without holding the file in memory."""
    with path.open("rb") as stream:
        stream.seek(start)
        left = path.stat().st_size - start if stop is None else stop - start
        while left > 0 and (chunk := stream.read(min(left, CHUNK))):
            digest.update(chunk)
            left -= len(chunk)


def _fingerprint_of_folder(folder: Path) -> str:
    """Return the SHA-256 of names and bytes of the files of settings and weights, one level deep."""
    digest = hashlib.sha256()
    files = [file for file in (*folder.glob("*"), *folder.glob("*/*")) if file.suffix in IN_FOLDERS and file.is_file()]
    for file in sorted(files):
        digest.update(
            f"{file.relative_to(folder).as_posix()}\n{file.stat().st_size}\n".encode(errors="surrogateescape")
        )
        _hash_file(file, digest)
    return digest.hexdigest()
