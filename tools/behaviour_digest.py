"""Print one hash for each result of diffir, so that two commits can be compared: equal lines mean equal bits.

Everything goes through the command line, so the script runs on any commit that has the commands. It restores the sample
photos with every network that ships, in fp32 and in the default precision, trains the toy of ``options/debug/tiny.yml``
and evaluates once. Seconds, versions and machines are left out of the hashes.

    python tools/behaviour_digest.py > before.txt    # on one commit
    python tools/behaviour_digest.py > after.txt     # on the other; then: diff before.txt after.txt
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "datasets/samples"
NETWORKS = sorted(path.stem for path in (ROOT / "diffir/weights/pretrained").glob("*.safetensors"))
VOLATILE = {"seconds", "peak_memory_mb", "machine", "versions", "threads"}  # keys of the evaluation's JSON


def run_diffir(*words: object) -> None:
    """Run one command; its messages appear only if it fails."""
    result = subprocess.run(
        [sys.executable, "-m", "diffir", *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"diffir {' '.join(map(str, words))} failed:\n{result.stdout}{result.stderr}")


def hash_of_files(folder: Path) -> str:
    """Names and bytes of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.png")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def hash_of_tensors(path: Path) -> str:
    """Names and values of the tensors in a safetensors file, without its header."""
    digest = hashlib.sha256()
    with safe_open(path, "pt") as file:
        for name in sorted(file.keys()):
            digest.update(name.encode() + file.get_tensor(name).contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()[:16]


def without_volatile(value: Any) -> Any:
    """The document without what differs from run to run."""
    if isinstance(value, dict):
        return {key: without_volatile(item) for key, item in value.items() if key not in VOLATILE}
    return [without_volatile(item) for item in value] if isinstance(value, list) else value


def digests(scratch: Path) -> None:
    """Print all hashes."""
    mask = scratch / "mask.png"
    subprocess.run(
        [sys.executable, "-c", f"import cv2, numpy; m = numpy.zeros((384, 384), 'uint8'); m[200:210] = 255; "
         f"m[:, 300:308] = 255; cv2.imwrite({str(mask)!r}, m)"], check=True)  # fmt: skip
    for name in NETWORKS:
        for precision in ("fp32", "auto"):
            out = scratch / f"{name}_{precision}"
            source = SAMPLES / "noisy" / "parrots.png" if name == "inpaint" else SAMPLES / "noisy"
            holes = ["--mask", mask] if name == "inpaint" else []
            run_diffir("restore", source, "-o", f"{out}/", "-n", name, "--precision", precision, *holes)
            print(f"restore {name} {precision} {hash_of_files(out)}", flush=True)
    tiled = scratch / "tiled"
    run_diffir("restore", SAMPLES / "noisy", "-o", f"{tiled}/", "-n", "photo", "-t", 128, "-x", "--fp32")
    print(f"restore photo in tiles, self-ensemble {hash_of_files(tiled)}", flush=True)
    run_diffir("train", "-opt", "options/debug/tiny.yml", f"path.experiments_root={scratch}/runs")
    for path in sorted((scratch / "runs").rglob("*.safetensors")):
        print(f"train {path.stem} {hash_of_tensors(path)}", flush=True)
    document = scratch / "eval.json"
    run_diffir(
        "eval", "-n", "input,photo,dct", "-d", SAMPLES / "clean", "--recipe", "photo", "--metrics", "psnr,ssim,lpips",
        "--no_cache", "--json", document)  # fmt: skip
    plain = json.dumps(without_volatile(json.loads(document.read_text("utf-8"))), sort_keys=True)
    print(f"eval {hashlib.sha256(plain.encode()).hexdigest()[:16]}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        digests(Path(folder))
