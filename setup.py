"""The package diffir and its dependencies. The settings of the development tools are in pyproject.toml."""

import platform
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup

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
HAS_KERNELS = sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64")

setup(
    name="diffir",
    version=VERSION,
    description="Image restoration with DiffIR: restore photos, train both stages, measure",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["diffir", "diffir.*"]),
    ext_modules=[KERNELS] if HAS_KERNELS else [],
    package_data={
        "diffir.weights": ["pretrained/*.safetensors"],
        "diffir.degradations": ["shipped/*.yml"],
        "diffir.metrics": ["weights/*.npz", "weights/NOTICE.md"],
        "diffir.report": ["page.css", "page.js"],
    },
    install_requires=[
        "torch>=2.6",
        "numpy>=1.26",
        "opencv-python>=4.12",
        "einops>=0.8",
        "pyyaml>=6",
        "scikit-image>=0.25",
        "tqdm>=4.66",
        "pillow>=10.1",
        "tifffile>=2024.1",
        "scipy>=1.13,<2",
        "safetensors>=0.5",
    ],
    extras_require={
        # 1.4.2 cannot be built on Python 3.13 and later
        "basicsr": ["basicsr==1.4.2; python_version < '3.13'", "torchvision>=0.21"],
        # file formats of phones and cameras, which can be read if the package is installed
        "heif": ["pillow-heif>=0.22"],
        "jxl": ["pillow-jxl-plugin>=1.3"],
        "raw": ["rawpy>=0.24"],
        # no-reference metrics for non-commercial use; it installs another OpenCV
        "pyiqa": ["pyiqa>=0.1.14"],
        # training photos in an LMDB with the layout of BasicSR
        "lmdb": ["lmdb>=1.4"],
        # networks of other projects, for comparison
        "spandrel": ["spandrel>=0.4"],
        "test": ["pytest>=8", "hypothesis>=6.100"],
        "dev": ["pytest>=8", "hypothesis>=6.100", "ruff>=0.9", "mypy>=1.14", "types-PyYAML", "types-tqdm"],
    },
    entry_points={"console_scripts": ["diffir = diffir.cli.main:main"]},
)
