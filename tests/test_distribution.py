"""A wheel and an sdist hold what they promise, and an installed wheel works from an empty folder."""

import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import setuptools

REPOSITORY = Path(__file__).resolve().parents[1]
TOOLS_OF_THE_REPOSITORY = ("tools/unfinished_weights/",)  # the only files that the sdist leaves out

USER_CODE = """\
from pathlib import Path
import numpy as np
import diffir

restorer = diffir.load("photo", device="cpu", tile=256)
reveal_type(restorer)
image = np.zeros((8, 8, 3), np.uint8)
restored = restorer.restore(image)
reveal_type(restored)
diffir.load(3.5)
"""


@pytest.fixture
def setup_file(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The names of setup.py and, as "given", what it passes to setuptools."""
    given: dict = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    monkeypatch.chdir(REPOSITORY)
    return {**runpy.run_path("setup.py"), "given": given}


def tracked_files() -> list[str]:
    """The paths of the files in the repository that git does not ignore, or of all files of an unpacked sdist."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, text=True
    )
    if listing.returncode == 0:
        return [path for path in listing.stdout.splitlines() if (REPOSITORY / path).is_file()]
    return [path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, since building leaves files behind."""
    copy = tmp_path_factory.mktemp("build") / "diffir"
    for name in tracked_files():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, target)
    return copy


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", "dist", "."]
    subprocess.run(command, cwd=sources, env={**os.environ, "DIFFIR_KERNELS": "0"}, check=True, capture_output=True)
    return next((sources / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a virtual environment with the wheel, which borrows all other packages."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    packages = next(venv.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"], "utf-8")
    python = venv / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--force-reinstall", "-q", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    return venv / "bin"


@pytest.fixture
def diffir(installed: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the installed command in an empty folder."""
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "DIFFIR_DATA")}

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
        command = [installed / "diffir", *arguments]
        return subprocess.run(command, cwd=empty, env=environment | variables, capture_output=True, text=True)

    return run


def test_links_of_the_long_description_are_absolute_or_plain_text(setup_file: dict) -> None:
    text = "![a photo](docs/images/a.jpg) [docs](docs/install.md#windows), [site](https://example.org), [here](#use)"

    assert setup_file["long_description"](text, "https://example.org/d") == (
        "![a photo](https://example.org/d/raw/main/docs/images/a.jpg) "
        "[docs](https://example.org/d/blob/main/docs/install.md#windows), [site](https://example.org), [here](#use)"
    )
    assert setup_file["long_description"](text, "") == " docs, [site](https://example.org), [here](#use)"
    assert "](docs/" not in setup_file["given"]["long_description"]


def test_every_requirement_has_a_lower_bound_that_can_be_installed_alone(setup_file: dict) -> None:
    lowest = runpy.run_path("tools/test_lowest_versions.py")

    pins = [lowest["lowest"](requirement) for requirement in lowest["requirements"]()]

    assert lowest["requirements"]() == setup_file["given"]["install_requires"] + setup_file["TEST"]
    assert "scipy==1.13.0" in pins
    with pytest.raises(ValueError, match="'torch' has no lower bound"):
        lowest["lowest"]("torch")


@pytest.mark.slow
def test_a_wheel_without_kernels_fits_every_system_and_holds_what_ships(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    shipped = [name for name in tracked_files() if name.endswith(".yml") and name.startswith(("options/", "datasets/"))]

    assert wheel.name.endswith("-py3-none-any.whl")
    assert {"diffir/py.typed", "diffir/weights/NOTICE.md", "diffir/shipped/datasets/samples/train/facade.jpg"} <= held
    assert {f"diffir/shipped/{name}" for name in shipped} <= held
    assert {name for name in tracked_files() if name.startswith("diffir/weights/pretrained/")} == {
        name for name in held if name.endswith(".safetensors")
    }


@pytest.mark.slow
def test_an_sdist_holds_the_repository_but_not_the_unfinished_weights(sources: Path) -> None:
    build = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=sources, check=True, capture_output=True)

    with tarfile.open(next((sources / "dist").glob("*.tar.gz"))) as packed:
        held = {name.split("/", 1)[1] for name in packed.getnames() if "/" in name}

    left_out = {name for name in tracked_files() if name not in held}
    assert {name for name in left_out if not name.startswith(TOOLS_OF_THE_REPOSITORY)} == set()


@pytest.mark.slow
def test_an_installed_wheel_restores_trains_and_evaluates_from_an_empty_folder(diffir: Callable) -> None:
    samples = REPOSITORY / "datasets/samples"

    restored = diffir("restore", str(samples / "noisy/houses.png"), "-o", "a.png", "--device", "cpu")
    listed = diffir("options")
    trained = diffir("train", "-opt", "debug/tiny", "--debug", "datasets.train.num_worker_per_gpu=0")
    degraded = diffir("degrade", "--recipe", "photo", str(samples / "train"), "-o", "degraded")
    unknown = diffir("eval", "-n", "input", "-d", "set5")

    assert restored.returncode == 0, restored.stderr
    assert "denoise/small " in listed.stdout
    assert trained.returncode == 0, trained.stderr
    assert degraded.returncode == 0, degraded.stderr
    assert unknown.returncode == 2
    assert "dataset set5 is not here: get it from https://" in unknown.stderr


@pytest.mark.slow
def test_an_installed_wheel_evaluates_a_set_by_its_name(diffir: Callable, tmp_path: Path) -> None:
    photos = tmp_path / "sets/Set5"
    photos.mkdir(parents=True)
    shutil.copy(REPOSITORY / "datasets/samples/clean/houses.png", photos / "baby.png")

    measured = diffir("eval", "-n", "input", "-d", "set5", "--sigma", "25", DIFFIR_DATA=str(tmp_path / "sets"))

    assert measured.returncode == 0, measured.stderr
    assert "set5" in measured.stdout


@pytest.mark.slow
def test_a_users_type_checker_knows_the_types(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed (extra: dev)")
    (tmp_path / "user.py").write_text(USER_CODE, "utf-8")

    command = [sys.executable, "-m", "mypy", "--python-executable", installed / "python", "--follow-imports=silent"]
    checked = subprocess.run(
        [*command, "--cache-dir", tmp_path / "cache", "user.py"], cwd=tmp_path, capture_output=True, text=True
    )

    lines = checked.stdout.splitlines()
    assert any('user.py:6: note: Revealed type is "diffir' in line and "Restorer" in line for line in lines), lines
    assert any('user.py:9: note: Revealed type is "numpy.ndarray[' in line for line in lines), lines
    assert any('user.py:10: error: Argument 1 to "load" has incompatible type "float"' in line for line in lines), lines
    assert sum(": error: " in line for line in lines) == 1, lines
