"""The CPU kernels compile without a warning, for every instruction set, with the flags that they are built with."""

import concurrent.futures
import os
import subprocess

import pytest

from tf_stylegan.ops import build

# GCC's own headers make undefined vectors by reading them.
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-uninitialized", "-Wno-maybe-uninitialized"]


def test_no_warnings(tmp_path):
    cxx = build.compiler()
    if cxx is None or build.sources() is None or not cxx[0].endswith("g++"):
        pytest.skip("needs g++ and custom_ops/")

    def errors(job):
        target, command = job
        done = subprocess.run([*command, "-fsyntax-only", *WARNINGS], capture_output=True, text=True)
        return f"{target}\n{done.stderr}" if done.returncode else ""

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(errors, build._kernel_commands(cxx, build.sources(), tmp_path)))
    assert len(found) > 1
    assert not any(found), "\n".join(found)
