"""How minitorch is built and installed: `python -m pip install -e '.[examples,test]'`.

The folder kernels/ is installed as the package `minitorch.kernels`, with its CUDA sources as data.
"""
import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

EXTRAS = {
    "cuda12": ["cupy-cuda12x>=13.6"],                   # the GPU, by the CUDA version of its driver
    "cuda13": ["cupy-cuda13x>=13.6"],
    "cuda": ["cupy-cuda13x>=13.6"],
    "nvrtc": ["nvidia-cuda-nvrtc==13.0.*", "nvidia-cuda-runtime==13.0.*", "nvidia-cuda-nvdisasm"],      # kernels compiled without a GPU
    "bfloat16": ["ml_dtypes>=0.5"],
    "safetensors": ["safetensors>=0.4"],                # save and load of .safetensors files
    "fast": ["numba>=0.61",                             # compiled loops on the CPU
             "mkl>=2025; sys_platform == 'linux' and platform_machine == 'x86_64'"],             # products on Intel's processors
    "examples": ["scikit-learn>=1.4", "tqdm", "matplotlib", "safetensors>=0.4", "tokenizers>=0.20"],
    "test": ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "ml_dtypes>=0.5", "safetensors>=0.4", "setuptools>=70.1"],
    "bench": ["torch", "transformers", "numba>=0.61", "matplotlib",                 # only to compare with; minitorch never imports them
              "jax", "autograd", "mygrad", "tinygrad", "dezero"],
    "dev": ["ruff>=0.9", "mypy>=1.14"],
}
EXTRAS["all"] = sorted({need for name, needs in EXTRAS.items() if name not in ("cuda12", "bench", "nvrtc") for need in needs})

setup(
    name="minitorch",
    version=runpy.run_path(str(ROOT / "minitorch" / "version.py"))["__version__"],
    description="A small tensor library with reverse-mode differentiation, in PyTorch's names, on NumPy and CuPy",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    install_requires=["numpy>=2.0"],
    extras_require=EXTRAS,
    packages=find_packages(include=["minitorch", "minitorch.*"])
    + ["minitorch.kernels"] + [f"minitorch.kernels.{name}" for name in find_packages("kernels")],
    package_dir={"minitorch": "minitorch", "minitorch.kernels": "kernels"},
    package_data={"minitorch.kernels": ["**/*.cu", "**/*.cuh", "**/*.h", "**/*.cpp"]},
    zip_safe=False,
)
