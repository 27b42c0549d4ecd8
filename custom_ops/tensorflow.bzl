"""The TensorFlow that is installed for a Python, as a repository: headers, library and flags.

PYTHON_BIN_PATH names that Python; without it, it is the python3 on PATH. The lists of sources and flags come from
tf_stylegan/ops/build.py, which is the one place that has them.
"""

_SCRIPT = """
import json, runpy, sys
build = runpy.run_path(sys.argv[1])
tensorflow = build["TensorFlow"].installed()
folders = [flag[2:] for flag in tensorflow.compile_flags + tensorflow.link_flags if flag[:2] in ("-I", "-L")]
names = ("KERNELS", "INSTRUCTION_SETS", "KERNEL_FLAGS", "BINDINGS", "BINDING_FLAGS")
print(json.dumps({
    "include": folders[0],
    "library_folder": folders[-1],
    "framework": [flag[3:] for flag in tensorflow.link_flags if flag.startswith("-l:")][0],
    "compile_flags": [flag for flag in tensorflow.compile_flags if not flag.startswith("-I")],
    "library": tensorflow.library,
    "built_for": tensorflow.built_for(""),
    **{name: build[name] for name in names},
}))
"""

_BUILD = """
load("@rules_cc//cc:defs.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])

cc_library(
    name = "headers",
    hdrs = glob(["include/**"]),
    includes = ["include"],
)

cc_library(
    name = "framework",
    srcs = ["{framework}"],
)
"""

def _tensorflow_wheel_impl(ctx):
    python = ctx.os.environ.get("PYTHON_BIN_PATH") or ctx.which("python3")
    if not python:
        fail("no python3 on PATH: set PYTHON_BIN_PATH to the Python that has TensorFlow")
    build = ctx.path(Label("//:tf_stylegan/ops/build.py"))
    done = ctx.execute([python, "-c", _SCRIPT, build], environment = {"TF_CPP_MIN_LOG_LEVEL": "3"})
    if done.return_code:
        fail("{} cannot import TensorFlow; set PYTHON_BIN_PATH to a Python that has it:\n{}".format(python, done.stderr))
    text = done.stdout.strip().split("\n")[-1]
    config = json.decode(text)
    ctx.symlink(config["include"], "include")
    ctx.symlink(config["library_folder"] + "/" + config["framework"], config["framework"])
    ctx.file("config.bzl", "PYTHON = {}\nCONFIG = {}\n".format(repr(str(python)), text))  # JSON of lists and strings
    ctx.file("BUILD", _BUILD.format(framework = config["framework"]))

tensorflow_wheel = repository_rule(
    implementation = _tensorflow_wheel_impl,
    environ = ["PYTHON_BIN_PATH", "PATH"],
    local = True,
)

# Bazel 4.2 itself asks for @rules_cc, @rules_java and @rules_proto, which it would fetch from the network: here are names
# for the rules of these that it has built in. Newer ones take rules_cc from MODULE.bazel.
_RULES = {
    "cc": ("cc_binary", "cc_library", "cc_test", "cc_proto_library", "cc_toolchain", "cc_toolchain_suite", "objc_library"),
    "java": ("java_binary", "java_import", "java_library", "java_proto_library", "java_runtime", "java_toolchain"),
    "proto": ("proto_library", "proto_lang_toolchain"),
}

def _built_in_rules_impl(ctx):
    lines = ["{0} = native.{0}".format(name) for name in _RULES[ctx.attr.package]]
    ctx.file(ctx.attr.package + "/defs.bzl", "\n".join(lines) + "\n")
    ctx.file(ctx.attr.package + "/BUILD", "toolchain_type(name = 'toolchain_type', visibility = ['//visibility:public'])\n")
    ctx.file("BUILD")

_built_in_rules = repository_rule(implementation = _built_in_rules_impl, attrs = {"package": attr.string()})

def built_in_rules():
    for package in _RULES:
        _built_in_rules(name = "rules_" + package, package = package)
