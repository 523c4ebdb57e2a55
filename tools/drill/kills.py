"""Drills with kills: a batch and a training are killed at random moments, and must then end as if nothing had happened.

An undisturbed run is made once and says how long a run takes and what its results are.
"""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tools.drill.calls import Caller, finish, start
from tools.drill.material import RESTORING, TRAINING, Material
from tools.drill.outcome import Outcome, check_answer, check_files, snapshot

BATCH, SIDE = 8, 200  # photos of a batch, and their side in pixels
MOST_KILLS = 3
KILLS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# The end of a process that was killed, stopped after its current file, or faster than the kill.
_CODES = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 130, 0)


@dataclass(frozen=True)
class Undisturbed:
    """Duration in seconds and files of a run that was not killed."""

    seconds: float
    files: dict[str, str]
    steps: list[tuple[int, int, str]]
    """Stage, step and event of each line in the log of a training."""


_known: dict[str, Undisturbed] = {}


def batches(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Kill ``diffir restore --skip_existing``, then let it finish; every result is whole at every moment."""
    words = ["restore", "in", "-o", "out", "--skip_existing", "--model_path", str(material.toy), *RESTORING]
    _write_photos(folder / "in")
    outcome = Outcome()
    whole = _undisturbed("batch", words, folder, outcome)
    if outcome.faults:
        return outcome
    inputs = snapshot(folder)
    for _ in range(random.randint(1, MOST_KILLS)):
        _kill(words, folder, whole.seconds, random, outcome)
        present = {name: content for name, content in snapshot(folder).items() if not _is_temporary(name)}
        for name in present.keys() - inputs.keys():
            if present[name] != whole.files.get(name):
                outcome.blame("lost", f"{name} is incomplete after a kill")
    check_answer(outcome, finish(start(words, folder), folder), codes=(0,))
    _compare(outcome, whole, folder)
    check_files(outcome, inputs, folder, results=["out/*.png"])
    return outcome


def trainings(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Kill a training of two stages, sometimes damage its newest state, and let it finish."""
    words = [*TRAINING, "--auto_resume"]
    outcome = Outcome()
    whole = _undisturbed("training", words, folder, outcome)
    if outcome.faults:
        return outcome
    for _ in range(random.randint(1, MOST_KILLS)):
        _kill(words, folder, whole.seconds, random, outcome)
        if random.random() < 0.3:
            _damage_newest_state(folder, random)
    check_answer(outcome, finish(start(words, folder), folder), codes=(0,))
    _compare(outcome, whole, folder)
    if _steps(folder) != whole.steps:
        outcome.blame("differs", f"the log has {len(_steps(folder))} lines instead of {len(whole.steps)}")
    for name in snapshot(folder):
        if _is_temporary(name):
            outcome.blame("foreign", name)
    return outcome


def _kill(words: list[str], folder: Path, seconds: float, random: Random, outcome: Outcome) -> None:
    process = start(words, folder)
    try:
        process.wait(random.uniform(0.05, 1.05) * seconds)
    except subprocess.TimeoutExpired:
        number = random.choice(KILLS)
        process.send_signal(number)
        if number != signal.SIGKILL and random.random() < 0.3:  # a second Ctrl-C
            time.sleep(random.uniform(0, 0.5))
            process.send_signal(number)
    check_answer(outcome, finish(process, folder), codes=_CODES)


def _undisturbed(name: str, words: list[str], folder: Path, outcome: Outcome) -> Undisturbed:
    """Run once without a kill in a folder beside that of the case, and remember it."""
    if name not in _known:
        beside = folder.with_name(f"undisturbed_{name}")
        beside.mkdir()
        if (folder / "in").is_dir():
            _write_photos(beside / "in")
        begun = time.monotonic()
        answer = finish(start(words, beside), beside)
        check_answer(outcome, answer, codes=(0,))
        _known[name] = Undisturbed(time.monotonic() - begun, snapshot(beside), _steps(beside))
    return _known[name]


def _compare(outcome: Outcome, whole: Undisturbed, folder: Path) -> None:
    """Results must have the bytes of the undisturbed run; logs hold times, and states the order of their saving."""
    now = snapshot(folder)
    for name, content in whole.files.items():
        if not name.endswith((".png", ".safetensors")):
            continue
        if name not in now:
            outcome.blame("lost", f"{name} is missing")
        elif now[name] != content:
            outcome.blame("differs", name)


def _steps(folder: Path) -> list[tuple[int, int, str]]:
    path = folder / "runs/tiny/train_log.jsonl"
    if not path.is_file():
        return []
    entries = map(json.loads, path.read_text("utf-8").splitlines())
    return [(entry["stage"], entry["step"], entry["event"]) for entry in entries]


def _damage_newest_state(folder: Path, random: Random) -> None:
    """Change a byte of the newest state if there is one before it."""
    states = sorted((folder / "runs/tiny/training_states").glob("*.state"))
    if len(states) > 1 and states[-1].name[:6] == states[-2].name[:6]:
        content = bytearray(states[-1].read_bytes())
        content[random.randrange(len(content))] ^= 1
        states[-1].write_bytes(content)


def _write_photos(folder: Path) -> None:
    folder.mkdir()
    for number in range(BATCH):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def _is_temporary(name: str) -> bool:
    return os.path.basename(name).startswith(".diffir-")  # noqa: PTH119 - a name, not a path


def interrupts(folder: Path, random: Random, material: Material, caller: Caller) -> Outcome:
    """Press Ctrl-C at a random moment from the start of a command to its end."""
    outcome, words = Outcome(), ["restore", "in", "-o", "out", "--model_path", str(material.toy), *RESTORING]
    _write_photos(folder / "in")
    whole = _undisturbed("interrupts", words, folder, outcome)
    process = start(words, folder)
    time.sleep(random.uniform(0.02, 1.1) * whole.seconds)
    process.send_signal(signal.SIGINT)
    answer = finish(process, folder)
    check_answer(outcome, answer, codes=(130, -signal.SIGINT, 0))  # in Python's last moments the signal itself ends it
    inputs = {name: content for name, content in snapshot(folder).items() if name.startswith("in/")}
    check_files(outcome, inputs, folder, results=["out/*.png"])
    return outcome
