"""The package diffir: its dependencies, its compiled kernels and the files that travel in the wheel.

The settings of the development tools are in pyproject.toml. Two environment variables change what is built:

    DIFFIR_KERNELS=0                leave out the compiled kernels, which makes a wheel for every system
    DIFFIR_REPOSITORY=https://...   address of the repository, to which the links of the long description lead
"""

import os
import platform
import re
import shutil
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = (HERE / "diffir/_version.py").read_text("utf-8").split('__version__ = "')[1].split('"')[0]

SOURCES = "diffir/native/src"
# Kernels for the CPU, in C++ with GCC's vector types. Without a compiler they are skipped and torch does their work.
KERNELS = Extension(
    "diffir.native._kernels",
    sources=[f"{SOURCES}/{name}.cpp" for name in ("kernels", "avx2", "avx512", "avx512_bf16")],
    depends=[str(path) for path in Path(SOURCES).glob("*.h")],
    extra_compile_args=["-O3", "-std=c++17", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-w"],
    extra_link_args=["-fopenmp"],
    language="c++",
    optional=True,
)
HAS_KERNELS = (
    sys.platform == "linux"
    and platform.machine() in ("x86_64", "AMD64")
    and os.environ.get("DIFFIR_KERNELS", "1") != "0"
)
# What diffir/shipped_files.py finds in an installation: files of these folders, copied to diffir/shipped.
SHIPPED = ("options/**/*.yml", "datasets/published.yml", "datasets/README.md", "datasets/cards/*.yml")
SHIPPED += ("datasets/lists/*.txt", "datasets/samples/**/*")

# The lowest versions that pass the quick tests: python tools/test_lowest_versions.py installs exactly these.
REQUIRES = [
    "torch>=2.6.0",
    "numpy>=1.26.0",
    "opencv-python>=4.10.0.84",
    "einops>=0.8.0",
    "pyyaml>=6.0",
    "scikit-image>=0.25.0",
    "tqdm>=4.66.0",
    "pillow>=11.3.0",
    "tifffile>=2024.5.22",
    "scipy>=1.13.0,<2",
    "safetensors>=0.5.0",
]
TEST = ["setuptools>=77.0.3", "pytest>=8.0.0", "pytest-xdist>=3.5", "hypothesis>=6.100.0", "shtab>=1.6.0"]


class BuildPackage(build_py):
    """Builds the package and copies the shipped files into it, beginning with an empty folder."""

    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib, "diffir"), ignore_errors=True)  # it may hold files that are gone
        super().run()
        if not self.editable_mode:
            for source, target in self._copies():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return super().get_outputs(include_bytecode) + [target for _, target in self._copies()]

    def _copies(self) -> list[tuple[str, str]]:
        if self.editable_mode:
            return []
        found = [path for pattern in SHIPPED for path in sorted(HERE.glob(pattern)) if path.is_file()]
        root = Path(self.build_lib, "diffir", "shipped")
        return [(str(path), str(root / path.relative_to(HERE))) for path in found]


class BuildKernels(build_ext):
    """Builds a library that ctypes loads, so its name does not depend on the version of Python."""

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split(".")).with_suffix(".so"))


class BuildWheel(bdist_wheel):
    """Tags the wheel: for every Python 3, and for this system if it holds kernels, else for every system."""

    def get_tag(self) -> tuple[str, str, str]:
        has_kernels = any(Path(self.bdist_dir).rglob("_kernels.so"))
        return "py3", "none", super().get_tag()[2] if has_kernels else "any"


def long_description(text: str, repository: str) -> str:
    """Return the README for readers outside of the repository.

    Args:
        text: the README, whose links are relative.
        repository: the address that they shall begin with; without one, links and pictures become plain text.
    """

    def replaced(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        if not repository:
            return "" if mark else words
        return f"{mark}[{words}]({repository.rstrip('/')}/{'raw' if mark else 'blob'}/main/{target})"

    return re.sub(r"(!?)\[([^\]]+)\]\((?!https?://|#)([^)\s]+)\)", replaced, text)


REPOSITORY = os.environ.get("DIFFIR_REPOSITORY", "")

setup(
    name="diffir",
    version=VERSION,
    description="Image restoration with DiffIR: restore photos, train both stages, measure",
    long_description=long_description((HERE / "README.md").read_text("utf-8"), REPOSITORY),
    long_description_content_type="text/markdown",
    url=REPOSITORY or None,
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Programming Language :: Python :: 3",
        "Operating System :: OS Independent",
        "Topic :: Multimedia :: Graphics",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["diffir", "diffir.*"]),
    ext_modules=[KERNELS] if HAS_KERNELS else [],
    cmdclass={"build_py": BuildPackage, "build_ext": BuildKernels, "bdist_wheel": BuildWheel},
    package_data={
        "diffir": ["py.typed"],
        "diffir.weights": ["pretrained/*.safetensors", "NOTICE.md"],
        "diffir.degradations": ["shipped/*.yml"],
        "diffir.metrics": ["weights/*.npz", "weights/NOTICE.md"],
        "diffir.report": ["page.css", "page.js"],
        "diffir.web": ["*.css", "page.js", "icon.png", "pictures/*.jpg"],
    },
    install_requires=REQUIRES,
    extras_require={
        # to use the networks in BasicSR and to compare with it; 1.4.2 cannot be built on Python 3.13 and later
        "basicsr": ["basicsr==1.4.2; python_version < '3.13'", "torchvision>=0.21"],
        # file formats of phones and cameras, which can be read if the package is installed
        "heif": ["pillow-heif>=0.22"],
        "jxl": ["pillow-jxl-plugin>=1.3"],
        "raw": ["rawpy>=0.24"],
        # no-reference metrics for non-commercial use; it installs another OpenCV
        "pyiqa": ["pyiqa>=0.1.14"],
        # training photos in an LMDB with the layout of BasicSR
        "lmdb": ["lmdb>=1.4"],
        # completion of commands and flags in a shell
        "completion": ["shtab>=1.6.0"],
        # networks of other projects
        "spandrel": ["spandrel>=0.4"],
        # the page in the browser: diffir web
        "web": ["gradio>=6.31"],
        # the documentation as a site: mkdocs build --strict
        "docs": ["mkdocs>=1.6", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.27"],
        # many machines, folders and buckets: diffir fleet (s3:// needs s3fs, gs:// gcsfs, hf:// huggingface_hub)
        "fleet": ["ray[data]>=2.40,<2.64", "fsspec>=2024.6", "pyarrow>=15"],
        # weights on the Hugging Face Hub: -n hf:OWNER/NAME, diffir push
        "hub": ["huggingface_hub>=0.26"],
        # networks as ONNX graphs, and a check of them; --engine onnx
        "onnx": ["onnx>=1.17", "onnxruntime>=1.20"],
        "test": [*TEST, "pyarrow>=15"],
        "dev": [*TEST, "pyarrow>=15", "nbformat>=5.7", "ruff>=0.9", "mypy>=1.14", "types-PyYAML", "types-tqdm"],
    },
    entry_points={"console_scripts": ["diffir = diffir.cli.main:main"]},
)
