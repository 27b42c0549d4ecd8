"""Compiling: what is chosen, and what is said when it does not work. The compilers here are scripts that do as told."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tf_stylegan.ops import build

TENSORFLOW = build.TensorFlow("2.99.0", 1, ["-I/include", "--std=c++17"], ["-L/lib", "-l:libtensorflow_framework.so.2"])
ROOT = Path(build.__file__).parents[2]
# Writes what it is to make, and notes how it was called.
OBEDIENT = 'echo "$0 $@" >> {log}\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && echo > "$2"; shift; done\n'


@pytest.fixture(autouse=True)
def impl(monkeypatch):
    """Nothing of this depends on an implementation; nothing of the machine's settings counts."""
    for name in ("CXX", "CUDA_HOME", "CUDA_PATH", "NVCC_CCBIN"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("TF_STYLEGAN_")]:
        monkeypatch.delenv(name)
    if build.sources() is None:
        pytest.skip("needs custom_ops/")


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A function that puts a shell script on PATH, which holds nothing else but echo and test; returns its path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name, script, place=folder):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


def run(folder, **kwargs):
    """(what `build` returned, what it said)"""
    said = []
    return build.build(folder, report=said.append, tensorflow=TENSORFLOW, **kwargs), "\n".join(said)


def test_no_compiler(tools, tmp_path, monkeypatch):
    path, said = run(tmp_path / "out")
    assert path is None
    assert said == f"No C++ compiler (CXX, g++, c++, clang++) was found; {build.INSTEAD}."
    for mistaken in ("no-such-compiler -O3", "g++ '"):
        monkeypatch.setenv("CXX", mistaken)
        assert run(tmp_path / "out") == (None, said)


def test_skipped(tools, tmp_path, monkeypatch):
    tools("g++", "exit 1")
    monkeypatch.setenv("TF_STYLEGAN_SKIP_OPS", "1")
    path, said = run(tmp_path / "out")
    assert path is None
    assert said.startswith("TF_STYLEGAN_SKIP_OPS=1: no operations are compiled")
    assert not (tmp_path / "out").exists()


def test_without_tensorflow(tools, tmp_path, monkeypatch):
    tools("g++", "exit 1")
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it fails
    said = []
    assert build.build(tmp_path, report=said.append) is None
    assert "pip's build isolation hides it" in said[0]
    assert "python -m tf_stylegan.doctor --build" in said[0]


def test_with_a_broken_tensorflow(tools, tmp_path, monkeypatch):
    """What comes with it does not fit: importing it ends with anything at all, and the install goes on."""
    tools("g++", "exit 1")

    def broken():
        raise AttributeError("module 'numpy' has no attribute 'bool8'")

    monkeypatch.setattr(build.TensorFlow, "installed", broken)
    said = []
    assert build.build(tmp_path, report=said.append) is None
    assert "(AttributeError: module 'numpy' has no attribute 'bool8'), so no operations are compiled" in said[0]


def test_every_source_with_its_flags(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    log = tmp_path / "log"
    tools("g++", OBEDIENT.format(log=log))
    path, said = run(tmp_path / "out")
    assert path == tmp_path / "out" / "compiled_ops-tf2.99.0-abi1.so"
    assert path.is_file()
    assert said == f"Compiled {path} (CPU; {TENSORFLOW.built_for(build.digest(build.sources()))})."
    calls = log.read_text().splitlines()
    kernels = [call for call in calls if "/kernels/" in call and " -c " in call]
    assert len(kernels) == sum(len(sets) for sets in build.KERNELS.values())
    for call in kernels:
        assert "-std=c++14" in call
        assert ("-mavx512f" in call) == ("-DTF_STYLEGAN_ISA=avx512" in call)
        assert "/include" not in call  # no TensorFlow
    bindings = [call for call in calls if "/bindings/" in call]
    assert len(bindings) == len(build.BINDINGS)
    for call in bindings:
        assert "-I/include --std=c++17" in call
        assert 'TF_STYLEGAN_BUILT_FOR="TensorFlow 2.99.0, C++ ABI 1, x86_64, sources ' in call
    assert "-l:libtensorflow_framework.so.2" in calls[-1]
    assert not list(path.parent.glob("*.tmp-*"))


def test_other_processors_get_the_base(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "aarch64")
    log = tmp_path / "log"
    tools("g++", OBEDIENT.format(log=log))
    assert run(tmp_path / "out")[0]
    assert "-mavx" not in log.read_text()


def test_a_failing_compiler(tools, tmp_path):
    tools("g++", 'echo "in file included" >&2; echo "kernels/cpu.cc:7:1: error: it is Monday" >&2; exit 1')
    path, said = run(tmp_path / "out")
    assert path is None
    assert said.startswith(f"The operations could not be compiled; {build.INSTEAD}:\n  command: g++ -std=c++14 ")
    assert said.endswith("\n  error: kernels/cpu.cc:7:1: error: it is Monday")
    assert not list((tmp_path / "out").glob("*.so"))


def test_an_old_library_outlives_a_failure_and_old_kernels_do_not_outlive_new_ones(tools, tmp_path):
    (tmp_path / "compiled_kernels-old.so").write_text("old")
    (tmp_path / TENSORFLOW.library).write_text("old")
    tools("g++", "exit 3")
    assert run(tmp_path)[0] is None
    assert (tmp_path / TENSORFLOW.library).read_text() == "old"
    tools("g++", OBEDIENT.format(log=os.devnull))
    assert run(tmp_path)[0]
    assert (tmp_path / TENSORFLOW.library).read_text() != "old"
    assert [path.name for path in tmp_path.glob("compiled_kernels-*")] == [build.kernel_library(build.sources())]


NVCC = """\
case "$1" in
--list-gpu-code) echo sm_75 sm_80 sm_100; exit 0;;
--dryrun) echo '#$ TOP={top}/bin/..' >&2; exit 0;;
esac
"""


def toolkit(tools, tmp_path, script):
    """An nvcc on PATH whose toolkit is elsewhere."""
    top = tmp_path / "cuda"
    for file in ("include/cuda_runtime.h", "lib64/libcudart_static.a", "bin/nvcc"):
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        (top / file).touch()
    tools("nvcc", NVCC.format(top=top) + script)
    return top


def test_cuda(tools, tmp_path):
    log = tmp_path / "log"
    top = toolkit(tools, tmp_path, OBEDIENT.format(log=log))
    tools("g++", OBEDIENT.format(log=log))
    path, said = run(tmp_path / "out")
    assert path and "(CPU and CUDA; " in said
    calls = log.read_text().splitlines()
    compiled = [call for call in calls if ".cu " in call]
    assert len(compiled) == len(build.CUDA_KERNELS)
    for call in compiled:
        codes = re.findall(r",code=(\w+)", call)
        assert codes == ["sm_75", "sm_80", "compute_80"]  # those of ours that it knows, the last as PTX
        assert "-std=c++14" in call and f"-I{top}/include" in call
    assert f"-L{top}/lib64 -lcudart_static" in calls[-1]
    assert all("-DTF_STYLEGAN_CUDA" in call for call in calls if "/bindings/" in call)


def test_cuda_architectures_and_its_end(tools, tmp_path, monkeypatch):
    log = tmp_path / "log"
    toolkit(tools, tmp_path, OBEDIENT.format(log=log))
    tools("g++", OBEDIENT.format(log=log))
    monkeypatch.setenv("TF_STYLEGAN_CUDA_ARCHS", "8.6, 90")
    run(tmp_path / "out")
    assert "code=sm_86" in log.read_text() and "code=compute_90" in log.read_text()
    assert "sm_75" not in log.read_text()
    log.unlink()
    monkeypatch.setenv("TF_STYLEGAN_SKIP_CUDA", "1")
    assert "(CPU; " in run(tmp_path / "out")[1]
    assert ".cu" not in log.read_text()


def test_the_compiler_that_was_named_is_nvccs_too(tools, tmp_path, monkeypatch):
    log = tmp_path / "log"
    toolkit(tools, tmp_path, OBEDIENT.format(log=log))
    named = tools("g++-12", OBEDIENT.format(log=log))
    monkeypatch.setenv("CXX", "g++-12 -g")
    run(tmp_path / "out")
    assert f"-ccbin {named}" in log.read_text()
    log.unlink()
    tools("ccache", OBEDIENT.format(log=log))
    monkeypatch.setenv("CXX", "ccache g++-12")
    run(tmp_path / "out")
    assert f"-ccbin {named}" in log.read_text()
    log.unlink()
    monkeypatch.setenv("NVCC_CCBIN", "/another")
    run(tmp_path / "out")
    assert "-ccbin" not in log.read_text()


def test_an_nvcc_that_knows_no_architecture_leaves_the_cpu(tools, tmp_path):
    tools("nvcc", "exit 0")
    tools("g++", OBEDIENT.format(log=tmp_path / "log"))
    path, said = run(tmp_path / "out")
    assert path and "error: it lists no architectures" in said and "(CPU; " in said


def test_a_failing_nvcc_leaves_the_cpu(tools, tmp_path):
    toolkit(tools, tmp_path, 'echo "nvcc fatal   : Unsupported gpu architecture" >&2; exit 1')
    tools("g++", OBEDIENT.format(log=tmp_path / "log"))
    path, said = run(tmp_path / "out")
    assert path
    first, command, error, last = said.splitlines()
    assert first == "The CUDA kernels could not be compiled; the operations will run on the CPU only:"
    assert command.startswith("  command: ")
    assert error == "  error: nvcc fatal   : Unsupported gpu architecture"
    assert last.startswith("Compiled ") and "(CPU; " in last
    assert "-DTF_STYLEGAN_CUDA" not in (tmp_path / "log").read_text()


def test_an_nvcc_that_cannot_be_started_leaves_the_cpu(tools, tmp_path):
    tools("nvcc", "").write_text("#!/nowhere/interpreter\n")
    tools("g++", OBEDIENT.format(log=tmp_path / "log"))
    path, said = run(tmp_path / "out")
    assert path and "The CUDA kernels could not be compiled" in said and "(CPU; " in said


def test_the_kernels_alone_as_a_command(tools, tmp_path, capsys, monkeypatch):
    out = tmp_path / "new" / "folder"
    assert build.main(["--help"]) == 0 and build.main([]) == 2 and build.main(["--fast"]) == 2
    assert build.main([str(out)]) == 2 and "error: no C++ compiler" in capsys.readouterr().err
    compiler = tools("g++", OBEDIENT.format(log=tmp_path / "log"))
    tools("nvcc", "exit 1")
    monkeypatch.setenv("TF_STYLEGAN_SKIP_CUDA", "1")
    assert build.main([str(out)]) == 0 and capsys.readouterr().out == ""
    assert [path.name for path in out.iterdir()] == [build.kernel_library(build.sources())]
    assert build.main([str(tmp_path / "log")]) == 2  # a file
    compiler.write_text("#!/bin/sh\nexit 1")
    assert build.main([str(out)]) == 2 and "error: " in capsys.readouterr().err


def test_where_nvcc_is_looked_for(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(build.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path / "site")})
    assert build.nvcc() is None
    wheel = tools("nvcc", "", tmp_path / "site" / "nvidia" / "cu13" / "bin")
    assert build.nvcc() == str(wheel)
    on_path = tools("nvcc", "")
    assert build.nvcc() == str(on_path)
    home = tools("nvcc", "", tmp_path / "home" / "bin")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "home"))
    assert build.nvcc() == str(home)


def test_digest_follows_flags(tmp_path, monkeypatch):
    before = build.digest(tmp_path)
    monkeypatch.setattr(build, "KERNEL_FLAGS", [*build.KERNEL_FLAGS, "-g"])
    assert build.digest(tmp_path) != before


def test_digest_follows_includes(tmp_path):
    for name, text in (
        ("kernels/cpu.cc", '#include "deep.h"\n'),
        ("kernels/deep.h", "int a;\n"),
        ("bindings/upfirdn_2d_op.cc", '#include "../kernels/wide.h"\n'),
        ("kernels/wide.h", "int b;\n"),
        ("kernels/other.h", "int c;\n"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = build.digest(tmp_path)
    (tmp_path / "kernels/other.h").write_text("int d;\n")
    assert build.digest(tmp_path) == before
    for name in ("deep", "wide"):
        (tmp_path / f"kernels/{name}.h").write_text("int e;\n")
        assert build.digest(tmp_path) != before
        before = build.digest(tmp_path)


@pytest.mark.parametrize("inplace", [True, False])
def test_setup_never_fails_for_want_of_a_compiler(tmp_path, inplace):
    """`setup.py build_ext` in a copy of the project, with no compiler to be found."""
    if not (ROOT / "setup.py").is_file():
        pytest.skip("needs the checkout")
    for name in ("setup.py", "setup.cfg", "README.md", "LICENSE", "tf_stylegan", "custom_ops"):
        (tmp_path / name).symlink_to(ROOT / name)
    command = [sys.executable, "setup.py", "build_ext", *(["--inplace"] if inplace else [])]
    environment = {**os.environ, "PATH": "", "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "No C++ compiler" in done.stdout


def test_bazel(tmp_path):
    """Bazel finds every target's sources and TensorFlow, and compiles one of them: all would take minutes."""
    bazel = shutil.which("bazel")
    if not bazel or not (ROOT / "WORKSPACE").is_file():
        pytest.skip("needs Bazel and the checkout")
    version = subprocess.run([bazel, "--version"], capture_output=True, text=True).stdout
    if not version.startswith(("bazel 4.", "bazel no_version")):  # Debian's 4.2.3 does not know what it is
        pytest.skip(f"{version.strip()} might fetch modules from the network")
    command = [bazel, f"--output_user_root={tmp_path}", "--max_idle_secs=60"]
    environment = {**os.environ, "PYTHON_BIN_PATH": sys.executable}

    def call(*words):
        done = subprocess.run([*command, *words], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    make = ("build", "--experimental_convenience_symlinks=ignore")  # nothing of it in the checkout
    try:
        call(*make, "//custom_ops:all", "--output_groups=compilation_prerequisites_INTERNAL_")  # all but compiling
        call(*make, "//custom_ops:cpu_base", "//custom_ops:built_for")
        made = Path(call("info", "bazel-bin").strip()) / "custom_ops"
    finally:
        call("shutdown")
    assert (made / "libcpu_base.lo").is_file() or (made / "libcpu_base.a").is_file()
    built_for = build.TensorFlow.installed().built_for(build.digest(build.sources()))
    assert (made / "bindings" / "built_for.h").read_text() == f'#define TF_STYLEGAN_BUILT_FOR "{built_for}"\n'
