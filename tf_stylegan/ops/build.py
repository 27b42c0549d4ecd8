"""Compiles custom_ops/ for the TensorFlow that is installed: the one list of sources, flags and messages (F1).

Used by setup.py, by `python -m tf_stylegan.doctor --build` and by the tests. Nothing here has to succeed: whatever
cannot be compiled is said in one or two lines, and TensorFlow's own operations do the work.
"""

import concurrent.futures
import dataclasses
import glob
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

INSTRUCTION_SETS = {
    "base": [],
    "avx2": ["-DTF_STYLEGAN_ISA=avx2", "-mavx2", "-mfma", "-mf16c"],
    "avx512": [
        *["-DTF_STYLEGAN_ISA=avx512", "-mfma", "-mf16c"],
        *["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"],
    ],
}
USUAL = list(INSTRUCTION_SETS)
# For sources that are only there for it; compiled without it, by a compiler that does not know it, they do nothing.
INSTRUCTION_SETS["amx"] = [*INSTRUCTION_SETS["avx512"], "-mavx512bf16", "-mamx-tile", "-mamx-bf16"]
# kernels/<name>.cc, compiled once for each instruction set named; kernels/<name>.cu, compiled by nvcc.
KERNELS = {
    "cpu": ["base"],
    **dict.fromkeys(("fused_bias_act", "upfirdn_2d", "conv2d", "conv2d_gradient"), USUAL),
    "conv2d_bfloat16": ["amx"],
    "conv2d_gradient_bfloat16": ["amx"],
}
CUDA_KERNELS = ["cuda", "fused_bias_act", "upfirdn_2d"]
BINDINGS = ["conv2d_op", "fused_bias_act_op", "upfirdn_2d_op"]  # bindings/<name>.cc

KERNEL_FLAGS = [
    *["-std=c++14", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-exceptions", "-fno-rtti"],
    *["-fPIC", "-fvisibility=hidden"],
]
BINDING_FLAGS = ["-O2", "-fPIC", "-fvisibility=hidden", "-w"]  # the standard and the ABI are TensorFlow's to say
NVCC_FLAGS = ["-std=c++14", "-O3", "--compiler-options", "-fPIC,-fvisibility=hidden"]
CUDA_ARCHS = ["70", "75", "80", "86", "89", "90"]  # those that nvcc knows are compiled, the last one as PTX too

CUDA_SYMBOL = b"tf_stylegan_cuda_check"  # by which a library with CUDA kernels is known
INSTEAD = "TensorFlow's own operations will be used instead"


class CompileError(Exception):
    """A compiler that ended with an error; the message is its command and its first error line."""


@dataclasses.dataclass(frozen=True)
class TensorFlow:
    """What the bindings must know of the installed TensorFlow."""

    version: str
    abi: int
    compile_flags: list
    link_flags: list

    @classmethod
    def installed(cls):
        """Raises ImportError where there is none, and whatever else importing a broken one raises."""
        import tensorflow as tf

        return cls(
            tf.__version__,
            int(tf.sysconfig.CXX11_ABI_FLAG),
            tf.sysconfig.get_compile_flags(),
            tf.sysconfig.get_link_flags(),
        )

    def built_for(self, digest):
        """The words that a library carries and `loader` compares."""
        return f"TensorFlow {self.version}, C++ ABI {self.abi}, {platform.machine()}, sources {digest}"

    @property
    def library(self):
        """File name of the operations."""
        return f"compiled_ops-tf{self.version}-abi{self.abi}.so"


def kernel_library(folder):
    """File name of the kernels alone, for ctypes, compiled from the sources in `folder`."""
    return f"compiled_kernels-{digest(folder)}.so"


def sources():
    """Folder of the sources: within the package once installed, beside it in a checkout; None if they are missing."""
    package = Path(__file__).resolve().parent.parent
    return next((folder for folder in (package / "custom_ops", package.parent / "custom_ops") if folder.is_dir()), None)


def folders():
    """Where libraries are put and looked for: the package's own folder, then the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [Path(__file__).resolve().parent, Path(cache) / "tf_stylegan"]


def digest(folder):
    """A short name for the state of all sources, of the headers that they include, and of the flags."""
    names = [f"kernels/{name}.cc" for name in KERNELS] + [f"kernels/{name}.cu" for name in CUDA_KERNELS]
    waiting = [folder / name for name in names] + [folder / "bindings" / f"{name}.cc" for name in BINDINGS]
    flags = [KERNELS, INSTRUCTION_SETS, KERNEL_FLAGS, BINDING_FLAGS, NVCC_FLAGS]
    total, seen = hashlib.sha256(repr(flags).encode()), set()
    while waiting:
        path = waiting.pop().resolve()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        data = path.read_bytes()
        total.update(path.name.encode() + data)
        waiting += [path.parent / name for name in re.findall(r'(?m)^#include "([^"]+)"', data.decode())]
    return total.hexdigest()[:12]


def compiler():
    """The C++ compiler as a list of words, or None: `CXX`, else g++, c++ or clang++ on PATH."""
    try:
        words = shlex.split(os.environ.get("CXX", ""))
    except ValueError:  # an open quote
        return None
    if words:
        return words if shutil.which(words[0]) else None
    return next(([name] for name in ("g++", "c++", "clang++") if shutil.which(name)), None)


def nvcc():
    """Path of nvcc, or None: in CUDA_HOME or CUDA_PATH, on PATH, or from a wheel of NVIDIA's in this environment."""
    homes = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    site = sysconfig.get_paths()["purelib"]
    candidates = [
        *(os.path.join(home, "bin", "nvcc") for home in homes),
        shutil.which("nvcc"),
        *sorted(glob.glob(os.path.join(site, "nvidia", "*", "bin", "nvcc"))),
    ]
    return next((path for path in candidates if path and os.access(path, os.X_OK)), None)


def cuda_archs(path):
    """Architectures to compile for, as ["80", "90"]: TF_STYLEGAN_CUDA_ARCHS ("80;90" or "8.0 9.0") or those known."""
    asked = re.findall(r"\d+", os.environ.get("TF_STYLEGAN_CUDA_ARCHS", "").replace(".", ""))
    if asked:
        return asked
    known = re.findall(r"sm_(\d+)\b", _run([path, "--list-gpu-code"]))
    if not known:
        raise CompileError(f"  command: {path} --list-gpu-code\n  error: it lists no architectures")
    return [arch for arch in CUDA_ARCHS if arch in known] or known[-1:]


def _run(command, **kwargs):
    """Output of a command; raises CompileError."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **kwargs)
    except OSError as error:
        raise CompileError(f"  command: {shlex.join(command)}\n  error: {error}") from None
    if done.returncode:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        words = r"error:|fatal|cannot find|not found|undefined reference|multiple definition"
        first = next((line for line in lines if re.search(words, line) and not line.startswith("collect2")), None)
        first = first or (lines[0] if lines else f"exit code {done.returncode}")
        raise CompileError(f"  command: {shlex.join(command)}\n  error: {first}")
    return done.stdout


def _kernel_commands(cxx, folder, objects):
    """[(object, command)] of the CPU kernels."""
    x86 = platform.machine() in ("x86_64", "AMD64")
    plain = {} if x86 and _knows(cxx, INSTRUCTION_SETS["amx"]) else {"amx": "base"}
    commands = []
    for name, sets in KERNELS.items():
        for isa in [plain.get(isa, isa) for isa in sets] if x86 else ["base"]:
            target = str(objects / f"{name}_{isa}.o")
            source = str(folder / "kernels" / f"{name}.cc")
            commands.append((target, [*cxx, *KERNEL_FLAGS, *INSTRUCTION_SETS[isa], "-c", source, "-o", target]))
    return commands


def _knows(cxx, flags):
    """Whether a compiler takes these flags."""
    try:
        _run([*cxx, *flags, "-fsyntax-only", "-x", "c++", os.devnull])
    except CompileError:
        return False
    return True


def _cuda_commands(path, folder, objects):
    """[(object, command)] of the CUDA kernels."""
    archs = cuda_archs(path)
    codes = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in archs]
    codes.append(f"-gencode=arch=compute_{archs[-1]},code=compute_{archs[-1]}")
    if os.environ.get("CXX") and not os.environ.get("NVCC_CCBIN"):
        # Often set because nvcc takes no compiler as new as the default. Of "ccache g++" it is the last program.
        codes += ["-ccbin", [path for path in map(shutil.which, compiler()) if path][-1]]
    commands = []
    for name in CUDA_KERNELS:
        target = str(objects / f"{name}_cuda.o")
        source = str(folder / "kernels" / f"{name}.cu")
        includes = [f"-I{include}" for include in _beside(path, "include")]
        commands.append((target, [path, *NVCC_FLAGS, *codes, *includes, "-c", source, "-o", target]))
    return commands


def _beside(path, name):
    """Folders `name` of an nvcc's toolkit: in the toolkit itself, or in the wheels that lie beside nvcc's own."""
    # nvcc on PATH may be a script or a link: only it knows where it is at home.
    command = [path, "--dryrun", "-x", "cu", os.devnull]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CompileError(f"  command: {shlex.join(command)}\n  error: {error}") from None
    top = re.search(r"#\$ TOP=(.*)", done.stderr + done.stdout)
    home = Path(os.path.realpath(top[1].strip() if top else Path(path).parent.parent))
    found = [home / name, home / f"{name}64", *home.glob(f"targets/*/{name}"), *home.parent.glob(f"*/{name}")]
    wanted = {"include": "cuda_runtime.h", "lib": "libcudart_static.a"}[name]
    return [str(folder) for folder in found if (folder / wanted).exists()]


def _cuda_link_flags(path):
    # The runtime goes into the library, so that it loads on a machine without a GPU and beside any TensorFlow.
    return [*(f"-L{folder}" for folder in _beside(path, "lib")), "-lcudart_static", "-ldl", "-lrt", "-lpthread"]


def _compile(commands):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda item: _run(item[1]), commands))
    return [target for target, _ in commands]


def _link(cxx, objects, flags, target):
    """Links beside the target and renames, so that a program never opens half a library."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target), prefix=f"{os.path.basename(target)}.tmp-") as folder:
        half = os.path.join(folder, "library")
        _run([*cxx, "-shared", "-o", half, *objects, *flags])
        os.replace(half, target)


def compile_kernels(folder, cxx=None, cuda=None, report=print):
    """Compiles the kernels alone, for ctypes, into the folder's `kernel_library`; older ones are removed.

    Args:
        cxx: compiler words, None: `compiler()`.
        cuda: path of nvcc, or None for a library without CUDA.
        report: takes each line that a person should read.
    Returns:
        (objects, link flags, whether CUDA is in it, temporary folder that holds the objects).
    Raises:
        CompileError: if the CPU part fails. A failure of the CUDA part is reported.
    """
    folder, source = Path(folder), sources()
    cxx = cxx or compiler()
    temporary = tempfile.TemporaryDirectory(prefix="tf_stylegan-")
    objects, flags, with_cuda = [], [], False
    if cuda:
        try:
            objects, flags = _compile(_cuda_commands(cuda, source, Path(temporary.name))), _cuda_link_flags(cuda)
            _link(cxx, objects, flags, Path(temporary.name) / "cuda.so")
            with_cuda = True
        except CompileError as error:
            objects, flags = [], []
            report(f"The CUDA kernels could not be compiled; the operations will run on the CPU only:\n{error}")
    objects = _compile(_kernel_commands(cxx, source, Path(temporary.name))) + objects
    library = folder / kernel_library(source)
    _link(cxx, objects, flags, library)
    for old in folder.glob("compiled_kernels-*.so"):
        if old != library:
            old.unlink(missing_ok=True)
    return objects, flags, with_cuda, temporary


def build(folder, report=print, tensorflow=None):
    """Compiles kernels and bindings into `folder`.

    TF_STYLEGAN_SKIP_OPS=1 compiles nothing, TF_STYLEGAN_SKIP_CUDA=1 no CUDA kernels.

    Args:
        folder: for the libraries; made if it is missing.
        report: takes each line that a person should read.
        tensorflow: a `TensorFlow`; None: the one installed.
    Returns:
        path of the operations' library, or None; the reason has then been reported.
    """
    if os.environ.get("TF_STYLEGAN_SKIP_OPS") == "1":
        report(f"TF_STYLEGAN_SKIP_OPS=1: no operations are compiled; {INSTEAD}.")
        return None
    cxx, source = compiler(), sources()
    if source is None:
        report(f"The folder custom_ops is missing; {INSTEAD}.")
        return None
    if cxx is None:
        report(f"No C++ compiler (CXX, g++, c++, clang++) was found; {INSTEAD}.")
        return None
    try:
        tensorflow = tensorflow or TensorFlow.installed()
    except Exception as error:  # an import runs any code, and an install goes on whatever becomes of it
        hidden = isinstance(error, ImportError)
        reason = "pip's build isolation hides it" if hidden else f"{type(error).__name__}: {error}"
        report(
            f"TensorFlow cannot be imported here ({reason}), so no operations are compiled;\n"
            f"{INSTEAD}. To compile them afterwards: python -m tf_stylegan.doctor --build"
        )
        return None
    cuda = None if os.environ.get("TF_STYLEGAN_SKIP_CUDA") == "1" else nvcc()
    try:
        os.makedirs(folder, exist_ok=True)
        objects, flags, with_cuda, temporary = compile_kernels(folder, cxx, cuda, report)
        with temporary:
            built_for = tensorflow.built_for(digest(source))
            defines = [f'-DTF_STYLEGAN_BUILT_FOR="{built_for}"', *(["-DTF_STYLEGAN_CUDA"] if with_cuda else [])]
            commands = []
            for name in BINDINGS:
                target = os.path.join(temporary.name, f"{name}.o")
                text = str(source / "bindings" / f"{name}.cc")
                flags_of = [*tensorflow.compile_flags, *BINDING_FLAGS, *defines]
                commands.append((target, [*cxx, *flags_of, "-c", text, "-o", target]))
            library = Path(folder) / tensorflow.library
            _link(cxx, [*_compile(commands), *objects], [*flags, *tensorflow.link_flags], library)
    except (CompileError, OSError) as error:
        report(f"The operations could not be compiled; {INSTEAD}:\n{error}")
        return None
    report(f"Compiled {library} ({'CPU and CUDA' if with_cuda else 'CPU'}; {built_for}).")
    return library


def main(arguments):
    """`python -m tf_stylegan.ops.build FOLDER`: the kernels alone, for ctypes, without TensorFlow; the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(
            "usage: python -m tf_stylegan.ops.build FOLDER  compiles the kernels into it, for ctypes", file=sys.stderr
        )
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        if compiler() is None:
            raise CompileError("no C++ compiler (CXX, g++, c++, clang++) was found")
        os.makedirs(arguments[0], exist_ok=True)
        compile_kernels(arguments[0], cuda=None if os.environ.get("TF_STYLEGAN_SKIP_CUDA") == "1" else nvcc())
    except (CompileError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
