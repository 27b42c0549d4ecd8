"""PyTorch's networks as records: the dictionaries of stylegan2-ada-pytorch and stylegan3 (standard library and NumPy).

Such a file holds `{"G": …, "D": …, "G_ema": …}`, each a tree of modules. Their attributes, not the arguments of their
constructors, say what the keywords are, since defaults differ between the code bases; a tree that TensorFlow's keywords
cannot express is refused. `torch_rosinality` has the other family. Facts: training/networks.py, networks_stylegan2.py
and legacy.py of NVlabs/stylegan2-ada-pytorch and NVlabs/stylegan3.
"""

import re
import warnings

from tf_stylegan.legacy import torch_layouts as layouts
from tf_stylegan.legacy import torch_rosinality
from tf_stylegan.legacy.torch_modules import Tree
from tf_stylegan.legacy.torch_pickle import Module

_NAMES = {"G": "G", "D": "D", "G_ema": "Gs"}  # keys of the file's dictionary, names of the records, in this order
_LAYERS = {"mapping": "MappingNetwork", "embed": "FullyConnectedLayer", "fc": "FullyConnectedLayer"}
_GENERATOR = {
    **_LAYERS,
    "": "Generator",
    "synthesis": "SynthesisNetwork",
    "b": "SynthesisBlock",
    "conv": "SynthesisLayer",
    "affine": "FullyConnectedLayer",
    "torgb": "ToRGBLayer",
    "skip": "Conv2dLayer",
}
_DISCRIMINATOR = {
    **_LAYERS,
    "": "Discriminator",
    "b": "DiscriminatorBlock",
    "b4": "DiscriminatorEpilogue",
    "fromrgb": "Conv2dLayer",
    "conv": "Conv2dLayer",
    "skip": "Conv2dLayer",
    "mbstd": "MinibatchStdLayer",
    "out": "FullyConnectedLayer",
}


def records(value, file, size):
    """The networks of an unpickled PyTorch file.

    Args:
        value: what the file holds.
        file: name for messages.
        size: bytes of the file.
    Returns:
        tuple of NetworkRecord: those of "G", "D" and "Gs" that the file has.
    Raises:
        CorruptPickleError: the file holds something else; the message says what.
    """
    source = layouts.Source(file, size)
    if type(value) is Module:
        value = {"D" if value.class_path == "Discriminator" else "G_ema": value}
    if type(value) is dict:
        modules = {key: value[key] for key in _NAMES if type(value.get(key)) is Module}
        states = torch_rosinality.find_states(value)
        if modules or states:
            _warn_of_others(value, file)
        if modules:
            return tuple(_record(key, module, source) for key, module in modules.items())
        if states:
            return torch_rosinality.records(states, value.get("latent_avg"), source)
    what = f"a {type(value).__name__}"
    if type(value) is dict:
        keys = [ascii(key)[:40] for key in list(value)[:8]]
        what = f"a dict with {', '.join(keys) or 'nothing in it'}{' and more' * (len(value) > 8)}"
    raise source.corrupt(
        f"expected a tuple (G, D, Gs) of networks, a dict with 'G', 'D' and 'G_ema' or one with 'g_ema', got {what}"
    )


def _warn_of_others(value, file):
    """Says which networks of a file are left alone."""
    known = (*_NAMES, *torch_rosinality.NAMES, "augment_pipe")
    others = [key for key in value if key not in known and type(value[key]) is Module]
    others += [key for key in value if key not in known and torch_rosinality.is_state(value[key])]
    if others:
        keys = ", ".join(ascii(key)[:40] for key in others[:8])
        warnings.warn(f"{file}: it holds {keys} too, which this version does not know", stacklevel=2)


def _record(key, module, source):
    what = f"network {key}"
    if key == "D":
        return _discriminator(Tree(module, what, _DISCRIMINATOR, source), _NAMES[key])
    return _generator(Tree(module, what, _GENERATOR, source), _NAMES[key])


def _generator(tree, name):
    tree.check_scaling()
    layers = tree.paths(r"synthesis\.b\d+\.conv[01]")
    resampling = tree.paths(r"synthesis\.b\d+(\.conv0|\.skip)?")
    w = tree.integer("", "w_dim", 1)
    kwargs = tree.common_keywords("synthesis.b{}", tree.paths(r"synthesis\.b\d+\.(conv[01]|torgb)"))
    kwargs |= {"latent_size": tree.integer("", "z_dim", 1), "dlatent_size": w}
    kwargs |= _mapping(tree, "mapping_nonlinearity")
    kwargs |= {
        "label_fmaps": _outputs(tree, "mapping.embed") if kwargs["label_size"] else None,
        "mapping_fmaps": _outputs(tree, "mapping.fc0") if kwargs["mapping_layers"] > 1 else w,
        "nonlinearity": tree.activation(layers),
        "use_noise": tree.same("use_noise", layers, (bool,)),
        "truncation_psi": 1,
        "dlatent_avg_beta": tree.get("mapping", "w_avg_beta", (int, float, type(None))),
    }
    has_average = kwargs["dlatent_avg_beta"] is not None
    if not has_average:
        layouts.warn_of_no_average(tree.what, tree.source)
    arrays = layouts.convert(
        kwargs,
        tree.tensors,
        _generator_name,
        filters={f"{path}.resample_filter" for path in resampling},
        unused={f"{path}.resample_filter" for path in layers},
        base=tree.arguments().get("channel_base"),
        absent=() if has_average else ("dlatent_avg",),
        what=tree.what,
        source=tree.source,
    )
    return layouts.generator_record(name, kwargs, arrays, tree.text, tree.origin())


def _discriminator(tree, name):
    tree.check_scaling()
    convolutions = tree.paths(r"b\d+\.(fromrgb|conv\d?)")
    resampling = tree.paths(r"b\d+\.(conv1|skip)|b(?!4$)\d+")
    clamped = [path for path in convolutions if path != "b4.fromrgb"]  # never clamped, whatever its neighbours are
    kwargs = tree.common_keywords("b{}", clamped)
    if "b4.fromrgb" in convolutions and kwargs["conv_clamp"] is not None:
        warnings.warn(f"{tree.source.file}: 4x4/FromRGB of D is clamped here, in the file it is not", stacklevel=2)
    kwargs |= {"nonlinearity": tree.activation([*convolutions, "b4.fc"])}
    kwargs |= {"mapping_layers": 0, "mapping_fmaps": None, "mapping_lrmul": 0.1}
    if kwargs["label_size"]:
        kwargs |= _mapping(tree, "activation") | {"mapping_fmaps": tree.integer("b4", "cmap_dim", 1)}
        if kwargs["mapping_layers"] and kwargs["activation"] != kwargs["nonlinearity"]:
            raise tree.source.corrupt("the mapping of network D has another activation than the rest of it")
        del kwargs["activation"]
    has_std = "b4.mbstd" in tree.modules
    kwargs |= {
        "mbstd_group_size": tree.get("b4.mbstd", "group_size", (int, type(None))) if has_std else None,
        "mbstd_num_features": tree.integer("b4.mbstd", "num_channels", 1) if has_std else 0,
    }
    if kwargs["mbstd_group_size"] is not None and not 0 < kwargs["mbstd_group_size"] < 1 << 16:
        raise tree.source.corrupt("group_size of b4.mbstd is out of range")
    arrays = layouts.convert(
        kwargs,
        tree.tensors,
        _discriminator_name,
        filters={f"{path}.resample_filter" for path in resampling},
        unused={f"{path}.resample_filter" for path in convolutions},
        base=tree.arguments().get("channel_base"),
        what=tree.what,
        source=tree.source,
    )
    return layouts.discriminator_record(name, kwargs, arrays, tree.text, tree.origin())


def _mapping(tree, nonlinearity):
    """Keywords of a mapping network; `nonlinearity`: what its activation is called."""
    count = tree.integer("mapping", "num_layers", 0, len(tree.modules))
    if not count:
        return {"mapping_layers": 0, "mapping_lrmul": 0.01, nonlinearity: "lrelu"}  # of no effect
    dense = [f"mapping.fc{index}" for index in range(count)]
    return {"mapping_layers": count, "mapping_lrmul": tree.rate(dense), nonlinearity: tree.activation(dense)}


def _outputs(tree, path):
    """Features that come out of a dense layer; 1 where it is missing, which is checked later."""
    weight = tree.tensors.get(f"{path}.weight")
    return weight.shape[0] if weight is not None and weight.shape else 1


_LAYER_NAMES = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}
_PART_NAMES = {"mod_weight": "affine.weight", "mod_bias": "affine.bias"}


def _generator_name(name):
    """Path of the tensor behind a legacy name: `G_synthesis/8x8/Conv0_up/bias`, `synthesis.b8.conv0.bias`."""
    if name == "dlatent_avg":
        return "mapping.w_avg"
    network, *scopes, part = name.split("/")
    if network == "G_mapping":
        return f"mapping.{_dense_name(scopes[0])}.{part}"
    if part.startswith("noise") and not scopes:
        index = int(part.removeprefix("noise"))
        return f"synthesis.b{1 << (index + 5) // 2}.conv{1 - index % 2}.noise_const"
    block = f"synthesis.b{scopes[0].partition('x')[0]}"
    return f"{block}.const" if part == "const" else f"{block}.{_LAYER_NAMES[scopes[1]]}.{_PART_NAMES.get(part, part)}"


def _dense_name(scope):
    return "embed" if scope == "LabelEmbed" else re.sub("Dense|Mapping", "fc", scope)


_D_LAYER_NAMES = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip"}
_D_LAYER_NAMES |= {"Conv": "conv", "Dense0": "fc"}


def _discriminator_name(name):
    """As `_generator_name`, of a discriminator: `8x8/Conv1_down/bias`, `b8.conv1.bias`."""
    *scopes, part = name.split("/")
    if scopes[0] == "Output":
        return f"b4.out.{part}"
    if len(scopes) == 1:
        return f"mapping.{_dense_name(scopes[0])}.{part}"
    return f"b{scopes[0].partition('x')[0]}.{_D_LAYER_NAMES[scopes[1]]}.{part}"
