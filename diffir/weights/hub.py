"""Weights on the Hugging Face Hub: fetch them by name, and push a folder of them.

In: ``hf:OWNER/NAME``, with ``@REVISION`` behind it for another branch, tag or commit than main, and ``/FILE`` for one
of several files. Out: the path of a file, or of a folder in the layout of diffusers, in the cache of huggingface_hub,
from where the usual readers take it, which execute nothing. Without a network, and with HF_HUB_OFFLINE=1, what is in
the cache is used. Needs the optional package huggingface_hub.
"""

import importlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import NamedTuple

from diffir.errors import MissingDependency, UsageError, WeightsError

SCHEME = "hf:"
MODEL_FILE = "model.safetensors"
"""Name of the weights in repositories that ``push_folder`` writes; other names work if there is one file alone."""
_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")  # the first suffix with a file decides
_DIFFUSERS = ("model_index.json", "unet/*", "vqvae/*", "vae/*", "scheduler/*")  # what is read of such a folder
_NOT_READ = ("*.fp16.*", "*.onnx", "*.msgpack")  # the same weights again, in other forms
_PATIENCE = 10  # seconds to wait for an answer
_NAME = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([\w.-]+))?(?:/([\w./ -]+))?", re.ASCII)


class HubName(NamedTuple):
    """The parts of a name."""

    repository: str
    """``OWNER/NAME``."""
    revision: str | None = None
    file: str | None = None


def is_hub_name(source: str | Path) -> bool:
    """True for texts that begin with ``hf:``."""
    return isinstance(source, str) and source.startswith(SCHEME)


def parsed(source: str) -> HubName:
    """Split a name into its parts.

    Raises:
        UsageError: this is no such name.
    """
    match = _NAME.fullmatch(source.removeprefix(SCHEME))
    if match is None or ".." in source:
        raise UsageError(f"{source!r} is no name on the hub: write hf:OWNER/NAME, hf:OWNER/NAME@REVISION or with /FILE")
    return HubName(*match.groups())


def fetch(source: str) -> Path:
    """The file of weights in a repository, or a folder in the layout of diffusers; downloaded unless it is cached.

    Raises:
        MissingDependency: huggingface_hub is not installed.
        UsageError: there is no such repository, revision or file, or it cannot be reached and is not in the cache.
        WeightsError: the repository holds no weights, or several files of them.
    """
    name, hub = parsed(source), _hub(source)
    with _answers(source):
        files, is_cached = _files(hub, name)
        where = {"repo_id": name.repository, "revision": name.revision, "local_files_only": is_cached}
        if name.file is None and "model_index.json" in files:
            patterns = {"allow_patterns": list(_DIFFUSERS), "ignore_patterns": list(_NOT_READ)}
            return Path(hub.snapshot_download(**patterns, **where))
        return Path(hub.hf_hub_download(filename=name.file or _only_weights(files, source), **where))


def push_folder(folder: Path, target: str, *, private: bool = False) -> str:
    """Upload the files of a folder as one commit, and return its address; a repository that is missing is created.

    Raises:
        MissingDependency: huggingface_hub is not installed.
        UsageError: the hub cannot be reached or does not allow it.
    """
    name, hub = parsed(target), _hub(target)
    if name.file is not None:
        raise UsageError(f"{target} names a file: diffir push fills a repository, hf:OWNER/NAME")
    with _answers(target):
        api = hub.HfApi()
        api.create_repo(name.repository, private=private or None, exist_ok=True)
        sent = api.upload_folder(
            repo_id=name.repository, folder_path=folder, revision=name.revision, commit_message="diffir push"
        )
    return str(sent.commit_url)


def _hub(source: str) -> ModuleType:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingDependency("huggingface_hub", source, "hub")
    return importlib.import_module("huggingface_hub")


def _files(hub: ModuleType, name: HubName) -> tuple[Sequence[str], bool]:
    """Names of all files of a repository, and whether they are those of the cache, because the hub is out of reach."""
    try:
        # ``list_repo_files`` would try for half a minute without a network.
        found = hub.HfApi().model_info(name.repository, revision=name.revision, timeout=_PATIENCE)
        return [sibling.rfilename for sibling in found.siblings or []], False
    except _connection_errors() as error:
        if _status(error) is not None:
            raise
        try:
            kept = Path(hub.snapshot_download(name.repository, revision=name.revision, local_files_only=True))
        except hub.errors.LocalEntryNotFoundError:
            raise error from None
        return [path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()], True


def _only_weights(files: Sequence[str], source: str) -> str:
    if MODEL_FILE in files:
        return MODEL_FILE
    for suffix in _SUFFIXES:
        found = sorted(name for name in files if PurePosixPath(name).suffix.lower() == suffix)
        if len(found) == 1:
            return found[0]
        if found:
            raise WeightsError(f"{source} holds several files of weights: name one, such as {source}/{found[0]}")
    raise WeightsError(f"{source} holds no file of weights ({', '.join(_SUFFIXES)})")


@contextmanager
def _answers(source: str) -> Iterator[None]:
    """Turn the errors of huggingface_hub into one line each."""
    errors = importlib.import_module("huggingface_hub.errors")
    try:
        yield
    except errors.GatedRepoError as error:
        raise UsageError(f"{source}: its owner must let you in; ask on its page, then run: hf auth login") from error
    except errors.RepositoryNotFoundError as error:
        raise UsageError(
            f"{source}: no such repository, or a private one: check the name, or run: hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UsageError(f"{source}: the repository has no such revision") from error
    except errors.LocalEntryNotFoundError as error:  # of a file that the cached part of the repository lacks
        raise UsageError(f"{source}: the hub cannot be reached, and the file is not in the cache") from error
    except errors.EntryNotFoundError as error:
        raise UsageError(f"{source}: the repository has no such file") from error
    except errors.HFValidationError as error:
        raise UsageError(f"{source}: {_one_line(error)}") from error
    except _connection_errors() as error:
        status = _status(error)
        if status in (401, 403):
            raise UsageError(f"{source}: not allowed ({status}); run: hf auth login") from error
        if status is not None:
            raise UsageError(f"{source}: the hub answered {status} ({_one_line(error)})") from error
        if isinstance(error, errors.OfflineModeIsEnabled):
            raise UsageError(f"{source} is not in the cache, and HF_HUB_OFFLINE forbids to fetch it") from error
        raise UsageError(f"{source} is not in the cache, and the hub cannot be reached ({_one_line(error)})") from error


def _connection_errors() -> tuple[type[Exception], ...]:
    """Errors of answers and of connections; in some versions of huggingface_hub the latter are no OSError."""
    errors = importlib.import_module("huggingface_hub.errors")
    return OSError, getattr(errors, "HTTPError", OSError)


def _status(error: Exception) -> int | None:
    """The status code of an answer; None if there was no answer."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
