"""The plan of the house, held: who may import whom, how long a file may be, where print and basicsr may stand."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "diffir"
FILES = sorted(PACKAGE.rglob("*.py"))

# A part may import parts of lower floors, and its own folder. Siblings of one floor do not see each other.
FLOORS = {
    "_version": 0,
    "errors": 0,
    "faults": 0,
    "files": 0,
    "near_names": 0,
    "pixels": 0,
    "shipped_files": 0,
    "allocator": 1,
    "fork_guard": 1,
    "inert_pickle": 0,
    "torch_file": 1,
    "extensions": 1,
    "image_io": 1,
    "public_files": 1,
    "field_ranges": 1,
    "typed_mapping": 1,
    "yaml_file": 1,
    "seeds": 1,
    "hole_fill": 1,
    "_basicsr": 1,
    "native": 1,
    "degradations": 2,
    "diagnosis": 2,
    "losses": 2,
    "metrics": 2,
    "pictures": 2,
    "_spandrel": 2,
    "config_losses": 3,
    "config": 3,
    "system": 4,
    "config_file": 5,
    "thumbnail": 5,
    "weights": 5,
    "data": 6,
    "inference": 6,
    "baselines": 6,
    "evaluation": 7,
    "batch": 7,
    "video": 7,
    "report": 8,
    "training": 8,
    "systems": 9,
    "photo_restorer": 9,
    "api": 10,
    "basicsr_plugin": 11,
    "fleet": 11,
    "spandrel": 11,
    "web": 11,
    "cli": 12,
}
HIGHEST = max(FLOORS.values()) + 1  # where the package itself and its public names stand
# Floors inside two folders; a module imports those of lower numbers only.
ROOMS = {
    "inference": {
        "device": 0, "mask_seam": 0, "options": 1, "strips": 0, "tiling": 0, "source": 0, "prior_file": 0,
        "finishing": 1, "whole": 1, "runner": 2, "live_bytes": 0, "multiply_adds": 0, "plain_engine": 1,
        "progress": 0, "tone": 0, "restorer": 3, "chain": 4, "samples": 4,
    },
    "training": {
        "early_stopping": 0, "loggers": 0, "log": 1, "teacher": 0, "optim": 0, "processes": 0, "random_state": 0,
        "checkpoint": 0,
        "backbone_files": 0, "discriminator_files": 1, "publishing": 1, "run_folder": 1, "run_samples": 1,
        "validation": 1, "criterion": 2, "comparison": 2, "trainer": 2, "run": 3, "dry_run": 4,
    },
}  # fmt: skip
ONE_ROOM = [{"config", "config_losses"}, {"batch", "video"}]  # parts that may see each other


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """All nodes of the syntax tree of a file."""
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


def imports_of(path: Path) -> set[str]:
    """Full names of the modules that a file imports; ``from diffir import x`` counts as ``diffir.x``."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and node.module == "diffir":
            found.update(f"diffir.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def module_of(path: Path) -> str:
    return ".".join(("diffir", *path.relative_to(PACKAGE).with_suffix("").parts))


def forbidden_imports(path: Path) -> list[str]:
    """Imports of a file that do not go down the floors; inside ``inference`` and ``training`` theirs count, too."""
    part = part_of(module_of(path))
    faults = []
    for name in imports_of(path):
        if name == "diffir":  # the package itself stands above every floor
            faults.append(name)
        elif name.startswith("diffir."):
            target = part_of(name)
            in_one_room = target == part or any({part, target} <= room for room in ONE_ROOM)
            allowed = in_one_room or FLOORS.get(target, HIGHEST) < FLOORS[part]
            rooms = ROOMS.get(part, {}) if target == part else {}
            mine, other = module_of(path).split(".")[2:3], name.split(".")[2:3]
            if rooms and mine and other and mine != other:
                allowed = rooms[other[0]] < rooms[mine[0]]
            if not allowed:
                faults.append(name)
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_the_floors_only(path):
    if path.stem in ("__init__", "__main__") and path.parent == PACKAGE:
        return

    assert not forbidden_imports(path)


@pytest.mark.parametrize(
    "line",
    [
        "import diffir",
        "from diffir import load",
        "from diffir.systems import SYSTEMS",
        "from diffir.training.run import Run",
        "from diffir.inference.restorer import Restorer",
    ],
)
def test_an_import_that_goes_up_is_found(tmp_path, monkeypatch, line):
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference/tiling.py").write_text(f"{line}\n", "utf-8")

    assert len(forbidden_imports(tmp_path / "inference/tiling.py")) == 1


def test_only_systems_api_and_the_command_line_know_a_system():
    allowed = ("systems", "api", "basicsr_plugin", "spandrel", "cli")

    knowing = [str(path) for path in FILES if any(name.startswith("diffir.systems") for name in imports_of(path))]

    assert not [path for path in knowing if part_of(module_of(Path(path))) not in allowed]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_has_at_most_400_lines_and_says_what_it_is(path):
    text = path.read_text("utf-8")

    assert text.count("\n") <= 400
    assert not text.strip() or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", [p for p in FILES if "cli" not in p.parts], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path):
    calls = [node for node in nodes_of(path) if isinstance(node, ast.Call)]

    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


@pytest.mark.parametrize("path", [p for p in FILES if "cli" in p.parts], ids=lambda p: p.name)
def test_commands_print_through_the_terminal_module_only(path):
    """It escapes control characters in file names and copes with closed streams."""
    if path.name == "terminal.py":
        return
    calls = {ast.unparse(node.func) for node in nodes_of(path) if isinstance(node, ast.Call)}

    assert not calls & {"print", "tqdm", "sys.stdout.write", "sys.stderr.write"}


def test_basicsr_is_named_in_one_file_alone():
    def names_basicsr(path: Path) -> bool:
        strings = [n.value for n in nodes_of(path) if isinstance(n, ast.Constant)]
        return any(name.split(".")[0] == "basicsr" for name in imports_of(path)) or any(
            isinstance(text, str) and text.startswith("basicsr.") for text in strings
        )

    assert [path.name for path in FILES if names_basicsr(path)] in ([], ["_basicsr.py"])
    assert '"basicsr"' in (PACKAGE / "_basicsr.py").read_text("utf-8")


NETWORK_FILES = [
    PACKAGE / "systems/diffir" / f"{name}.py"
    for name in ("cpen", "denoiser", "dirformer", "layers", "network", "settings")
]


def test_networks_import_torch_and_einops_alone():
    allowed = {"torch", "einops", "diffir", "math", "dataclasses", "typing", "collections"}
    for path in NETWORK_FILES:
        assert {name.split(".")[0] for name in imports_of(path)} <= allowed, path.name


def test_weights_are_read_without_running_code():
    for path in FILES:
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert keywords.get("weights_only") == "True", f"{path.name}:{node.lineno}"


def test_public_names_are_the_published_ones():
    import diffir

    found = {name for name in dir(diffir) if not name.startswith("_")} - {path.stem for path in PACKAGE.iterdir()}

    assert all(getattr(diffir, name) is not None for name in diffir.__all__)
    assert found - {"TYPE_CHECKING", "Any", "import_module"} <= set(diffir.__all__)
