"""The same as in WORKSPACE, for MODULE.bazel. A file of its own: Bazel 4.2 knows no module extensions."""

load(":tensorflow.bzl", "tensorflow_wheel")

tensorflow = module_extension(implementation = lambda _: tensorflow_wheel(name = "tensorflow_wheel"))
