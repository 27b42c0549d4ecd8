"""StyleGAN2 in TensorFlow 2 and Keras 3. These are the public names; they are loaded when first asked for."""

import importlib.metadata

_HOMES = {
    "UserError": "tf_stylegan.errors",
    "load_generator": "tf_stylegan.legacy.networks",
    "load_networks": "tf_stylegan.legacy.networks",
    "save_networks": "tf_stylegan.legacy.networks",
    "build_network": "tf_stylegan.networks.registry",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name == "__version__":
        try:
            return importlib.metadata.version("tf_stylegan")
        except importlib.metadata.PackageNotFoundError:
            return "unknown"  # a checkout that was never installed
    # Late, so that `python -m tf_stylegan.run_training --help` answers at once instead of loading TensorFlow first.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return __all__
