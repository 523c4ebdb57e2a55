"""Drills with damaged files: photos, masks, priors, weights, texts, archives, documents.

A case writes damaged files into an empty folder and makes one call, which must restore them or refuse them in one line.
"""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from tools.drill.calls import ROOT, Caller
from tools.drill.material import RESTORING, Material
from tools.drill.mutations import mutated_bytes, mutated_text, nasty_word
from tools.drill.outcome import Outcome, check_answer, check_files, snapshot

PHOTOS_A_CASE = 6
Case = Callable[[Path, Random, Material, Caller], Outcome]


def _call(folder: Path, caller: Caller, words: list[str], results: list[str]) -> Outcome:
    """Make a call and check its end and its files."""
    before, outcome = snapshot(folder), Outcome()
    check_answer(outcome, caller.call(words, folder))
    check_files(outcome, before, folder, results=results)
    return outcome


def photos(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Restore a folder of damaged photos; each ends as a result that can be read, or as one line."""
    (folder / "in").mkdir()
    for number in range(PHOTOS_A_CASE):
        name = random.choice(sorted(material.photos))
        (folder / "in" / f"{number}_{name}").write_bytes(mutated_bytes(material.photos[name], random))
    before, outcome = snapshot(folder), Outcome()
    words = ["restore", "in", "-o", "out", "--model_path", str(material.toy), "--json", *RESTORING]
    answer = caller.call(words, folder)
    check_answer(outcome, answer, codes=(0, 1))
    events = [json.loads(line) for line in answer.output.splitlines() if line.startswith('{"event": ')]
    done = [event["target"] for event in events if event["event"] == "done"]
    failed = [event["source"] for event in events if event["event"] == "failed"]
    check_files(outcome, before, folder, results=done)
    for name in done:
        if not (folder / name).is_file():
            outcome.blame("lost", f"{name} is called done, and is missing")
    if answer.code is not None and len(done) + len(failed) != PHOTOS_A_CASE:
        outcome.blame("silent", f"{PHOTOS_A_CASE} photos, {len(done)} done and {len(failed)} failed")
    # Metadata of damaged photos was written into the results: these must be whole files.
    if done:
        again = ["restore", "out", "-o", "again", "--model_path", str(material.toy), "--strength", "0", *RESTORING]
        answer = caller.call(again, folder)
        if answer.code != 0:
            outcome.blame("lost", f"a result cannot be read again: {answer.output[-200:]}")
    return outcome


def masks(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Restore a photo with a damaged mask."""
    name = random.choice(sorted(material.masks))
    (folder / name).write_bytes(mutated_bytes(material.masks[name], random))
    (folder / "photo.png").write_bytes(material.photos["grey.png"])
    words = ["restore", "photo.png", "-o", "out.png", "--mask", name, "--model_path", str(material.filling), *RESTORING]
    return _call(folder, caller, words, ["out.png"])


def priors(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Restore a photo with a damaged file of a prior."""
    (folder / "prior.safetensors").write_bytes(mutated_bytes(material.prior, random))
    (folder / "photo.png").write_bytes(material.photos["rgb.png"])
    words = ["restore", "photo.png", "-o", "out.png", "--prior", "prior.safetensors", "--model_path", str(material.toy)]
    return _call(folder, caller, [*words, *RESTORING], ["out.png"])


def weights(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Convert damaged weights, or restore with them."""
    name = random.choice(sorted(material.weights))
    (folder / name).write_bytes(mutated_bytes(material.weights[name], random))
    if random.random() < 0.7:
        return _call(folder, caller, ["convert", name, "out.safetensors"], ["out.safetensors"])
    (folder / "photo.png").write_bytes(material.photos["rgb.png"])
    words = ["restore", "photo.png", "-o", "out.png", "--model_path", name, *RESTORING]
    return _call(folder, caller, words, ["out.png"])


def texts(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Read a damaged option file, override, recipe or card."""
    kind = random.choice(("options", "override", "recipe", "card"))
    if kind == "override":
        keys = ("train.total_iter", "network_g", "datasets.train.degradation", "val.metrics", "name", "stages", "")
        words = ["train", "-opt", f"{ROOT}/options/debug/tiny.yml", "--dry_run", "path.experiments_root=runs"]
        word = f"{random.choice(keys)}={nasty_word(random)}"
        return _call(folder, caller, [*words, *_samples(), word], [])
    (folder / f"{kind}.yml").write_bytes(mutated_text(material.texts[kind], random))
    if kind == "options":
        words = ["train", "-opt", "options.yml", "--dry_run", "path.experiments_root=runs", *_samples()]
        return _call(folder, caller, words, [])
    if kind == "card":
        return _call(folder, caller, ["check-data", "card.yml", "--data_root", "."], [])
    (folder / "photo.png").write_bytes(material.photos["rgb.png"])
    return _call(folder, caller, ["degrade", "photo.png", "-o", "out/", "--recipe", "recipe.yml"], ["out/*"])


def _samples() -> list[str]:
    places = {"train": "train", "val": "clean"}
    return [f"datasets.{name}.dataroot_gt={ROOT}/datasets/samples/{place}" for name, place in places.items()]


def archives(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Check a dataset in a damaged tar file or LMDB."""
    kind = random.choice(sorted(material.archives))
    files = material.archives[kind]
    damaged = random.choice(sorted(files))
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        is_text = name.endswith(".txt") and random.random() < 0.5
        changed = mutated_text(content.decode(), random) if is_text else mutated_bytes(content, random)
        (folder / name).write_bytes(changed if name == damaged else content)
    place = sorted(files)[0].partition("/")[0]
    return _call(folder, caller, ["check-data", place, "--threads", "1"], ["set.lmdb/lock.mdb"])


def documents(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Make a page from a damaged document, or evaluate with damaged scores in the cache."""
    if random.random() < 0.6:
        text = _mutated_json(material.document, random)
        (folder / "scores.json").write_bytes(text)
        return _call(folder, caller, ["report", "scores.json", "page.html"], ["page.html"])
    (folder / "photos").mkdir()
    for name in ("rgb.png", "camera.jpg"):
        (folder / "photos" / name).write_bytes(material.photos[name])
    (folder / "scores").mkdir()
    for name, content in material.scores.items():
        (folder / "scores" / name).write_bytes(_mutated_json(content, random))
    before, outcome = snapshot(folder), Outcome()
    words = ["eval", "-n", "input", "-d", "photos", "--sigma", "25", "--json", "new.json", "--html", "page.html"]
    check_answer(outcome, caller.call([*words, "--cache", "scores"], folder), codes=(0,))
    check_files(outcome, before, folder, results=["new.json", "page.html"], may_change=["scores/*"])
    return outcome


def _mutated_json(content: bytes, random: Random) -> bytes:
    """Damage bytes or lines, or replace a value by one of another type so that it is still JSON."""
    if random.random() < 0.4:
        return mutated_text(content.decode(), random)
    lines = [json.loads(line) for line in content.splitlines() if line.strip()] if content[:2] != b"{\n" else None
    value = lines if lines is not None else json.loads(content)
    for _ in range(random.randint(1, 3)):
        _replace_inside(value, random)
    if lines is not None:
        return b"\n".join(json.dumps(line).encode() for line in value)
    return json.dumps(value).encode()


def _replace_inside(value: object, random: Random) -> None:
    """Walk down at random and replace what is there."""
    while isinstance(value, dict | list) and value:
        key = random.choice(sorted(value)) if isinstance(value, dict) else random.randrange(len(value))
        inner = value[key]  # type: ignore[index]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.2:
            odd = (None, [], {}, "x", "\x1b[2J\n", -1, 0, 1e308, True, [[1]], {"a": {}}, "NaN", 10**30)
            value[key] = random.choice(odd)  # type: ignore[index]
            return
        value = inner


DAMAGED: dict[str, Case] = {
    "photos": photos,
    "masks": masks,
    "priors": priors,
    "weights": weights,
    "texts": texts,
    "archives": archives,
    "documents": documents,
}
