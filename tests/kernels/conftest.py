"""The compiled kernels by way of ctypes: nothing here imports TensorFlow."""

import contextlib
import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tf_stylegan.ops import build
from tf_stylegan.ops.native import Kernels

HERE = Path(__file__).parent


@contextlib.contextmanager
def once(tmp_path_factory, name):
    """A folder that all processes of a test run share, held by one of them at a time."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def need_compiler():
    if build.compiler() is None or build.sources() is None:
        pytest.skip("needs a C++ compiler and custom_ops/")


@pytest.fixture(scope="session")
def kernels(tmp_path_factory):
    """The kernels as they were compiled for the package if that is up to date, else compiled here, without CUDA."""
    need_compiler()
    name = build.kernel_library(build.sources())
    for folder in build.folders():
        if (folder / name).is_file():
            return Kernels(folder / name)
    with once(tmp_path_factory, "kernels") as folder:
        if not (folder / name).is_file():
            build.compile_kernels(folder)[-1].cleanup()
        return Kernels(folder / name)


@pytest.fixture(scope="session")
def emulated(tmp_path_factory):
    """The CUDA kernels, compiled for the CPU with a header that plays the device."""
    need_compiler()
    kernels, words = build.sources() / "kernels", [*build.compiler(), "-x", "c++", "-std=c++17", "-O1", "-w", "-fPIC"]
    if subprocess.run([*words, "-c", "-", "-o", os.devnull], input=b"_Float16 x;", capture_output=True).returncode:
        pytest.skip("the compiler has no _Float16")
    device = f'-DTF_STYLEGAN_EMULATED_CUDA="{HERE / "emulated_cuda.h"}"'
    with once(tmp_path_factory, "emulated") as folder:
        library = folder / "emulated.so"
        if not library.is_file():
            for name in ("upfirdn_2d", "fused_bias_act"):
                source, target = kernels / f"{name}.cu", folder / f"{name}.o"
                subprocess.run([*words, device, "-c", source, "-o", target], check=True)
            subprocess.run([*build.compiler(), "-shared", "-o", library, *folder.glob("*.o")], check=True)
        return Kernels(library)
