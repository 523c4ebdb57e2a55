"""Drills with terminals: closed streams, readers that go away, and names of files that hold control characters."""

import os
from pathlib import Path
from random import Random

from tools.drill.calls import Caller, finish, start
from tools.drill.material import RESTORING, Material
from tools.drill.mutations import mutated_bytes
from tools.drill.outcome import Outcome, check_answer, check_files, snapshot

CLOSINGS = (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "| head -1", "2>&1 | head -1", "| true", "2>&1 | true")
_PIECES = (
    b"\x1b[2J",
    b"\n",
    b"\r",
    b"\x07",
    b"\xe9",
    b"\xc2\x9b",
    "\u202e".encode(),
    b" ",
    b"-",
    b"%",
    b"*",
    b"a",
    b"'",
)


def streams(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Run a command with closed streams or with a reader that goes away; its work is done all the same."""
    (folder / "in").mkdir()
    for name in ("rgb.png", "camera.jpg"):
        (folder / "in" / name).write_bytes(material.photos[name])
    calls = {
        "restore": ["in", "-o", "out", "--model_path", str(material.toy), *random.choice(([], ["--json"])), *RESTORING],
        "degrade": ["in", "-o", "out", "--recipe", "camera_noise"],
        "check-data": ["in", "--json", "out/found.json"],
        "score": ["in", "in", "--json", "out/scores.json"],
        "eval": ["-n", "input", "-d", "in", "--sigma", "25", "--no_cache", "--json", "out/scores.json"],
        "convert": [str(material.toy), "out/toy.safetensors"],
        "models": [],
        "--help": [],
    }
    command, before, outcome = random.choice(sorted(calls)), snapshot(folder), Outcome()
    process = start([command, *calls[command]], folder, shell=random.choice(CLOSINGS))
    check_answer(outcome, finish(process, folder), codes=(0,))
    check_files(outcome, before, folder, results=["out/*"])
    if command not in ("models", "--help") and not (folder / "out").is_dir():
        outcome.blame("lost", f"{command} wrote nothing")
    return outcome


def names(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Name photos, folders and flags with what a terminal would obey; some photos are damaged."""
    odd = os.fsdecode(b"".join(random.choices(_PIECES, k=random.randint(1, 6)))).strip("/") or "x"
    place = folder / "in" / odd if random.random() < 0.3 else folder / "in"
    place.mkdir(parents=True)
    for number in range(3):
        name = os.fsdecode(b"".join(random.choices(_PIECES, k=random.randint(1, 6))))
        content = material.photos["rgb.png"]
        (place / f"{name}{number}.png").write_bytes(content if number else mutated_bytes(content, random))
    pages = ["--no_cache", "--json", "out/scores.json", "--html", "out/page.html"]
    calls = (
        ["restore", "in", "-r", "-o", "out", "--model_path", str(material.toy), *RESTORING],
        ["degrade", "in", "-r", "-o", "out", "--recipe", "camera_noise"],
        ["check-data", "in", "-r", "--json", "out/found.json"],
        ["score", str(place), str(place), "--json", "out/scores.json"],
        ["eval", "-n", "input", "-d", str(place), *random.choice((["--sigma", "25"], ["--recipe", "jpeg"])), *pages],
        ["convert", str(material.toy), f"out/{odd}.safetensors"],
        ["restore", f"./{odd}", "-o", "out"],
        ["models", odd],
        ["convert", f"./{odd}", "out.safetensors"],
        ["train", "-opt", f"./{odd}"],
        ["degrade", "in", "-r", "--recipe", f"./{odd}", "-o", "out"],
    )
    before, outcome = snapshot(folder), Outcome()
    check_answer(outcome, caller.call(random.choice(calls), folder))
    check_files(outcome, before, folder, results=["out/*"])
    return outcome
