"""Files of torch.save: tensors are those that torch reads; forged files are refused before memory is asked for."""

import io
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from diffir.errors import WeightsError
from diffir.torch_file import read_torch_file

COMMON = {
    "float": torch.arange(12.0).reshape(3, 4),
    "transposed": torch.arange(6.0).reshape(2, 3).t(),
    "part": torch.arange(10)[3:7],
    "number": torch.tensor(3, dtype=torch.int16),
    "empty": torch.zeros(0, 3),
    "bool": torch.tensor([True, False]),
    "bf16": torch.ones(3, dtype=torch.bfloat16),
    "complex": torch.ones(2, dtype=torch.complex64),
    "parameter": torch.nn.Parameter(torch.ones(2)),
}
NEW_DTYPES = {"float8": torch.ones(3).to(torch.float8_e4m3fn), "uint16": torch.ones(3).to(torch.uint16)}
HUGE = 2**40


def saved(path: Path, content: object, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def zipped(path: Path, pickled: bytes, records: dict[str, bytes] | None = None, **how: int) -> Path:
    """Write an archive as torch.save does, around any pickle."""
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, content in {"data.pkl": pickled, "version": b"3\n", **(records or {})}.items():
            archive.writestr(f"archive/{name}", content)
    return path


def tensor_pickle(*, numel: int = 3, size: tuple = (3,), stride: tuple = (1,), offset: int = 0) -> bytes:
    """Return the pickle of a dict with one float32 tensor, whose numbers may be forged."""

    class Storage:
        pass

    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (Storage(), offset, size, stride, False, OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if isinstance(obj, Storage) else None

    written = io.BytesIO()
    Pickler(written, protocol=2).dump({"a": Tensor()})
    return written.getvalue()


@pytest.mark.parametrize(("content", "legacy"), [(COMMON, True), (COMMON | NEW_DTYPES, False)])
def test_tensors_are_those_that_torch_reads(tmp_path, content, legacy):
    found = read_torch_file(saved(tmp_path / "a.pth", content, legacy=legacy))

    assert found.keys() == content.keys()
    for name, tensor in content.items():
        assert (found[name].dtype, found[name].stride()) == (tensor.dtype, tensor.stride()), name
        assert torch.equal(found[name].to(torch.complex64), tensor.to(torch.complex64)), name


@pytest.mark.parametrize("legacy", [True, False])
def test_everything_else_is_plain_values(tmp_path, legacy):
    weights = torch.nn.Linear(2, 2).state_dict()  # an OrderedDict with an attribute
    content = {"state": weights, "size": torch.Size([1, 2]), "lr": 0.1, "steps": [1, None, "é"], "tied": weights}

    found = read_torch_file(saved(tmp_path / "a.pth", content, legacy=legacy))

    assert (found["size"], found["lr"], found["steps"]) == ((1, 2), 0.1, [1, None, "é"])
    assert found["tied"] is found["state"] and torch.equal(found["state"]["weight"], weights["weight"])


def test_the_pickles_of_python_2_are_read(tmp_path):
    pairs = b"ccollections\nOrderedDict\n((lp0\n(S'a'\nI1\nla(S'b'\nI2\nlatR."  # its OrderedDict was a list of pairs

    assert read_torch_file(zipped(tmp_path / "a.pth", b"\x80\x02" + pairs)) == {"a": 1, "b": 2}


def test_a_tensor_written_to_leaves_the_file_as_it_was(tmp_path):
    path = saved(tmp_path / "a.pth", COMMON)
    before = path.read_bytes()

    read_torch_file(path)["float"].zero_()

    assert path.read_bytes() == before


FORGED = {
    "storage larger than its record": (tensor_pickle(numel=HUGE, size=(HUGE,)), r"far larger than the file"),
    "storage a little larger": (tensor_pickle(numel=9, size=(9,)), r"storage 0 is of 12 bytes, not 36"),
    "tensor larger than its storage": (tensor_pickle(size=(9,)), r"reaches beyond storage 0"),
    "tensor that repeats its storage": (tensor_pickle(size=(HUGE, 3), stride=(0, 1)), r"far larger than the file"),
    "tensor behind its storage": (tensor_pickle(offset=HUGE), r"reaches beyond storage 0"),
    "negative sides": (tensor_pickle(size=(-3,)), r"a tensor of size \(-3,\)"),
    "sides beyond 64 bit": (tensor_pickle(size=(0, 2**70)), r"strides"),
    "persistent id of a number": (b"\x80\x02K\x01Q.", r"a reference to something that is no storage"),
    "memo that is missing": (b"\x80\x02h\x05.", r"\(5\)"),
    "no end": (b"\x80\x02}", r"pickle exhausted"),
    "length beyond the end": (b"\x80\x04\x8e" + struct.pack("<Q", HUGE) + b"a.", r"only 2 remain"),
}


@pytest.fixture
def traced_memory():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.usefixtures("traced_memory")
def test_forged_sizes_are_one_line_and_no_memory(tmp_path, name):
    content, said = FORGED[name]
    path = zipped(tmp_path / "a.pth", content, {"data/0": struct.pack("<3f", 1, 2, 3)})

    with pytest.raises(WeightsError, match=rf"a\.pth is damaged.*{said}") as caught:
        read_torch_file(path)

    assert "\n" not in str(caught.value)
    assert tracemalloc.get_traced_memory()[1] < 2**23  # bytes


@pytest.mark.parametrize("call", [b"__builtin__\nbytearray\n", b"torch\nTensor\n", b"torch\nFloatStorage\n"])
def test_what_would_ask_for_memory_is_not_called(tmp_path, call):
    size = b"\x8a\x06\xff\xff\xff\xff\xff\x01"

    found = read_torch_file(zipped(tmp_path / "a.pth", b"\x80\x02}X\x01\0\0\0ac" + call + size + b"\x85Rs."))

    assert type(found["a"]).__name__ == "ForeignObject"


def test_a_compressed_record_is_refused_unread(tmp_path):
    path = zipped(tmp_path / "a.pth", tensor_pickle(), {"data/0": bytes(2**24)}, compression=zipfile.ZIP_DEFLATED)

    with pytest.raises(WeightsError, match=r"is compressed; write the file with torch\.save"):
        read_torch_file(path)


def test_a_record_that_claims_to_reach_beyond_the_file_is_cut(tmp_path):
    path = zipped(tmp_path / "a.pth", tensor_pickle(), {"data/0": bytes(12)})
    content = path.read_bytes()
    entry = content.rindex(b"PK\x01\x02")  # sizes stand 20 bytes into an entry of the directory
    forged = struct.pack("<2I", 2**31, 2**31)
    path.write_bytes(content[: entry + 20] + forged + content[entry + 28 :])

    with pytest.raises(WeightsError, match="is cut short"):
        read_torch_file(path)


def test_an_old_file_with_forged_sizes_is_refused(tmp_path):
    content = saved(tmp_path / "a.pth", {"a": torch.ones(300)}, legacy=True).read_bytes()
    in_file, in_pickle = struct.pack("<q", 300), b"M" + struct.pack("<H", 300)
    (tmp_path / "file.pth").write_bytes(content.replace(in_file, struct.pack("<q", HUGE)))
    huge = b"J" + struct.pack("<i", 2**30)
    (tmp_path / "both.pth").write_bytes(content.replace(in_file, struct.pack("<q", 2**30)).replace(in_pickle, huge))

    with pytest.raises(WeightsError, match=f"storage .* is of {HUGE} and of 300 elements"):
        read_torch_file(tmp_path / "file.pth")
    with pytest.raises(WeightsError, match="is cut short"):
        read_torch_file(tmp_path / "both.pth")


def test_a_pickle_without_an_end_of_steps_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("diffir.inert_pickle.MOST_OPCODES", 1000)

    with pytest.raises(WeightsError, match="more than 1,000 steps"):
        read_torch_file(zipped(tmp_path / "a.pth", b"\x80\x02" + b"}" * 2000 + b"."))


@pytest.mark.parametrize("legacy", [True, False])
def test_any_damage_is_read_or_refused_in_one_line(tmp_path, legacy):
    whole = saved(tmp_path / "a.pth", {"params": COMMON, "lr": 0.1}, legacy=legacy).read_bytes()
    rng = random.Random(0)

    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (tmp_path / "b.pth").write_bytes(damaged[: rng.choice([len(damaged), rng.randrange(4, len(damaged))])])
        try:
            read_torch_file(tmp_path / "b.pth")
        except WeightsError as error:
            assert "\n" not in str(error) and len(str(error)) < 400
