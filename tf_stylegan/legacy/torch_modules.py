"""A saved tree of PyTorch modules as tables of modules, tensors and attributes (standard library and NumPy)."""

import math
import re
import warnings

import numpy as np

from tf_stylegan.legacy import torch_layouts as layouts
from tf_stylegan.legacy.pickle_limits import MAX_NAME
from tf_stylegan.legacy.torch_pickle import Module, Tensor

_MAX_MODULES = 5000
_MAX_LEVELS = 10
_GAINS = {"relu": 2**0.5, "lrelu": 2**0.5, "swish": 2**0.5}  # of activations; the others have 1
_ARCHITECTURES = ("orig", "skip", "resnet")
_KNOWN_ARGUMENTS = {
    *("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "mapping_kwargs", "synthesis_kwargs"),
    *("channel_base", "channel_max", "num_fp16_res", "fp16_channels_last", "conv_clamp", "architecture"),
    *("resample_filter", "use_noise", "activation", "fused_modconv_default", "num_layers", "embed_features"),
    *("layer_features", "lr_multiplier", "w_avg_beta", "cmap_dim", "block_kwargs", "epilogue_kwargs", "freeze_layers"),
    *("mbstd_group_size", "mbstd_num_channels"),
}


class Tree:
    """One network: `modules` and `tensors` by path, such as "synthesis.b8.conv0" and "synthesis.b8.conv0.weight".

    Args:
        root: Module.
        what: the network's name for messages.
        classes: `{last part of a path without its number: class name}`, whole paths for exceptions.
        source: layouts.Source.
    Raises:
        CorruptPickleError: the tree is malformed or has modules of another class.
    """

    def __init__(self, root, what, classes, source):
        self.what, self.source, self.text = what, source, root.source
        self.modules, self.tensors = {}, {}
        self._add(root, "", classes)

    def _add(self, module, path, classes):
        if len(self.modules) >= _MAX_MODULES or path.count(".") >= _MAX_LEVELS:
            raise self.source.corrupt(f"{self.what} has more than {_MAX_MODULES} modules or {_MAX_LEVELS} levels")
        where, prefix = path or self.what, f"{path}." if path else ""
        expected = classes.get(path, classes.get(re.sub(r"\d+$", "", path.rpartition(".")[2])))
        if module.class_path == "SynthesisInput":
            raise self.source.corrupt(
                f"{self.what} is a StyleGAN3 generator (alias-free), which this package does not draw; "
                "StyleGAN2 networks saved by the stylegan3 code base are read"
            )
        if module.class_path != expected:
            raise self.source.corrupt(
                f"{where} is of class {ascii(module.class_path)[:80]}; "
                + (f"a StyleGAN2 has {expected} there" if expected else "a StyleGAN2 has no such part")
            )
        self.modules[path] = module
        for key, kind in (("_parameters", Tensor), ("_buffers", Tensor), ("_modules", Module)):
            members = module.state.get(key)
            if type(members) is not dict:
                raise self.source.corrupt(f"{where} has no {key}")
            for name, member in members.items():
                if type(name) is not str or len(name) > MAX_NAME or type(member) not in (kind, type(None)):
                    raise self.source.corrupt(f"{key} of {where} holds what does not belong there")
                if prefix + name in self.tensors or prefix + name in self.modules:
                    raise self.source.corrupt(f"{prefix}{name} of {self.what} is there twice")
                if member is None:
                    continue
                if kind is Module:
                    self._add(member, prefix + name, classes)
                else:
                    self.tensors[prefix + name] = member

    def paths(self, pattern):
        """Paths of the modules that match a regular expression; there must be some."""
        found = [path for path in self.modules if re.fullmatch(pattern, path)]
        if not found:
            raise self.source.corrupt(f"{self.what} lacks layers that every StyleGAN2 has")
        return found

    def get(self, path, name, kinds, default=None):
        """An attribute of a module as a plain value of one of these types; without a default it must be there."""
        if path not in self.modules:
            raise self.source.corrupt(f"{self.what} has no module {path}")
        state = self.modules[path].state
        if name not in state and default is None:
            raise self.source.corrupt(f"{path or self.what} has no {name}")
        value = state.get(name, default)
        value = value.item() if isinstance(value, np.generic) else value
        if type(value) not in kinds:
            raise self.source.corrupt(f"{name} of {path or self.what} is a {type(value).__name__}")
        return value

    def integer(self, path, name, low=0, high=1 << 16):
        """An attribute that must be an integer in a range."""
        value = self.get(path, name, (int,))
        if not low <= value <= high:
            raise self.source.corrupt(f"{name} of {path or self.what} is {ascii(value)[:40]}, not in {low} to {high}")
        return value

    def same(self, name, paths, kinds):
        """An attribute that must have the same value in several modules."""
        first = self.get(paths[0], name, kinds)
        for path in paths[1:]:
            if (value := self.get(path, name, kinds)) != first:
                raise self.source.corrupt(
                    f"{name} of {self.what} is {ascii(first)[:40]} in {paths[0]} and {ascii(value)[:40]} in {path}, "
                    "which no keyword expresses"
                )
        return first

    def activation(self, paths):
        """The activation that several layers share, each with the gain that belongs to it."""
        name = self.same("activation", paths, (str,))
        gain = _GAINS.get(name, 1)
        for path in paths:
            if not _is_near(self.get(path, "act_gain", (int, float), gain), gain):
                raise self.source.corrupt(f"{path} of {self.what} has another gain than its activation {name[:40]!a}")
        return name

    def rate(self, paths):
        """The learning rate multiplier that several dense layers share."""
        return float(self.same("bias_gain", paths, (int, float)))

    def check_scaling(self):
        """Weights must be scaled by fan-in and learning rate multiplier, and affine layers linear, as in TensorFlow."""
        for path in self.modules:
            weight = self.tensors.get(f"{path}.weight")
            if weight is not None and "weight_gain" in self.modules[path].state:
                rate = self.get(path, "bias_gain", (int, float), 1)
                expected = rate / math.sqrt(math.prod(weight.shape[1:]) or 1)
                if not _is_near(self.get(path, "weight_gain", (int, float)), expected):
                    raise self.source.corrupt(f"weight_gain of {path} of {self.what} does not follow from its shape")
        linear = [path for path in self.modules if path.endswith(".affine") or path in ("mapping.embed", "b4.out")]
        if linear and (self.activation(linear) != "linear" or self.rate(linear) != 1):
            raise self.source.corrupt(f"the layers {linear[0]} and alike of {self.what} are not linear")

    def common_keywords(self, block, clamped):
        """The keywords that generators and discriminators share.

        Args:
            block: path of a block, with {} for its resolution.
            clamped: paths of the layers that `conv_clamp` is about.
        """
        resolution = self.integer("", "img_resolution", 4, layouts.MAX_RESOLUTION)
        if resolution & (resolution - 1):
            raise self.source.corrupt(f"{self.what} has a resolution of {resolution}, no power of two")
        all_resolutions = layouts.resolutions(resolution)
        architecture = self.same("architecture", [block.format(res) for res in all_resolutions], (str,))
        if architecture not in _ARCHITECTURES:
            raise self.source.corrupt(f"{self.what} has the unknown architecture {architecture[:40]!a}")
        half = [res for res in all_resolutions[1:] if self.get(block.format(res), "use_fp16", (bool,))]
        if half != all_resolutions[len(all_resolutions) - len(half) :]:
            raise self.source.corrupt(f"{self.what} computes in float16 at {half}, not at its highest resolutions")
        return {
            "num_channels": self.integer("", "img_channels", 1),
            "resolution": resolution,
            "label_size": self.integer("", "c_dim"),
            "architecture": architecture,
            "conv_clamp": self.same("conv_clamp", clamped, (int, float, type(None))),
            "num_fp16_res": len(half),
        }

    def arguments(self):
        """What the constructor was called with, nested arguments too, in one dict. Unknown names are warned about."""
        found, todo = {}, [self.modules[""].state.get("_init_kwargs")]
        while todo:
            arguments = todo.pop()
            if type(arguments) is dict:
                todo += arguments.values()
                found |= arguments
        unknown = sorted(ascii(key)[:40] for key in found if key not in _KNOWN_ARGUMENTS)
        if unknown:
            warnings.warn(
                f"{self.source.file}: {self.what} was made with arguments that this version does not know: "
                + ", ".join(unknown[:10]),
                stacklevel=2,
            )
        return found

    def origin(self):
        """The code base that saved it: the layers of stylegan3 remember their sizes."""
        is_newer = any("in_features" in module.state for module in self.modules.values())
        return "stylegan3" if is_newer else "stylegan2-ada-pytorch"


def _is_near(value, expected):
    return abs(value - expected) <= 1e-5 * abs(expected)
