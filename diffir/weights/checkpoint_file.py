"""Read checkpoint files of other projects into a dict of tensors without running code from them.

In: .pth, .pt, .ckpt or .safetensors, recognised by their first bytes. Out: name -> tensor on the CPU, with wrappers and
prefixes removed. Foreign objects in a Lightning file (OmegaConf settings, callbacks) are dropped; ``torch_file``
neither imports nor calls their classes.
"""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from diffir.errors import UsageError, WeightsError
from diffir.torch_file import is_torch_file, read_torch_file
from diffir.weights.header import check_names, is_safetensors, read_header

# Keys under which projects in this field store weights; the first one found is used, as averaged weights are better.
WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
_NOT_WEIGHTS = {
    b"<": "a web page (the download was answered by a page, not by the file)",
    b"version https://git-lfs": "a Git LFS pointer (fetch the file itself with git lfs pull)",
}


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a foreign checkpoint.

    If a Lightning file has tensors ``generator.*``, only these are kept: its discriminator, losses, evaluator and
    stage-1 network are not needed to restore.

    Raises:
        UsageError: the file does not exist.
        WeightsError: the file is no checkpoint, is cut short, or holds no tensors with names.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no such weights file: {path}")
    # Recognise the format by the first bytes, since suffixes are often wrong.
    with path.open("rb") as file:
        start = file.read(64)
    if is_safetensors(path):
        return unwrap(read_tensors(path), str(path))
    if is_torch_file(start):
        return unwrap(read_torch_file(path), str(path))

    # Say what else the file is.
    for signature, what in _NOT_WEIGHTS.items():
        if start.lstrip().startswith(signature):
            raise WeightsError(f"{path} is not a checkpoint but {what}")
    raise WeightsError(
        f"{path} is not a checkpoint ({path.stat().st_size:,} bytes); known: .pth .pt .ckpt .safetensors"
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file to the CPU.

    Raises:
        WeightsError: the file is not in this format, is cut short or damaged.
    """
    read_header(path)
    try:
        return load_file(path)
    except SafetensorError as error:  # the header contradicts itself
        raise WeightsError(f"{path} is damaged ({error}): copy or download it again") from error


def unwrap(content: object, source: str) -> dict[str, Tensor]:
    """Return the tensors inside one of ``WRAPPERS`` if there is one, and remove ``module.`` and ``generator.``."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{source} holds a {type(content).__name__}, not a dict of tensors: save its state_dict()")
    # Find the tensors.
    wrapper = next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
    inner = content[wrapper] if wrapper else content
    state = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
    try:
        check_names(state)
    except ValueError as error:
        raise WeightsError(f"{source} is damaged ({error}): copy or download it again") from error
    if not state:
        names = ", ".join(repr(name)[:40] for name in list(inner)[:5]) or "nothing"
        raise WeightsError(
            f"{source} holds no weights: found {names}; expected {', '.join(WRAPPERS)} or tensors by name"
        )

    # Remove prefixes; DataParallel may have been applied more than once.
    while all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    generator = {name.removeprefix("generator."): t for name, t in state.items() if name.startswith("generator.")}
    return generator or state
