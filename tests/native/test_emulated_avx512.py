"""The AVX-512 kernels are right, which a processor without AVX-512 shows by computing their instructions in plain C++.

This takes two to three minutes, so it runs only on request: ``DIFFIR_TEST_AVX512=1 pytest tests/native``. Speed is not
tested.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from diffir.native.bindings import LIBRARY

HERE = Path(__file__).parent
SOURCES = LIBRARY.parent / "src"
FLAGS = (
    "-shared",
    "-fPIC",
    "-O1",
    "-std=c++17",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-w",
    "-Wno-psabi",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("DIFFIR_TEST_AVX512") != "1", reason="asked for by DIFFIR_TEST_AVX512=1"),
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() != "x86_64" or shutil.which("g++") is None,
        reason="needs g++ on x86-64 Linux",
    ),
]


def test_avx512_kernels_pass_the_tests_of_kernels_when_their_instructions_are_emulated(tmp_path):
    # Compile all sources for AVX2, although some ask for AVX-512.
    for source in SOURCES.iterdir():
        text = source.read_text("utf-8")
        (tmp_path / source.name).write_text(re.sub(r"#pragma GCC target.*", "", text), "utf-8")
    library = tmp_path / "emulated.so"
    sources = sorted(str(path) for path in tmp_path.glob("*.cpp"))
    emulation = ("-mavx2", "-mfma", "-include", str(HERE / "emulated_avx512.h"))
    subprocess.run(["g++", *FLAGS, *emulation, *sources, "-o", str(library)], check=True)

    tests = [str(HERE / name) for name in ("test_native_blocks.py", "test_gradients.py")]
    command = [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "DIFFIR_TEST_KERNELS": str(library)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)

    assert result.returncode == 0, result.stdout
    assert "16xfloat32" in result.stdout and "16xbfloat16" in result.stdout
