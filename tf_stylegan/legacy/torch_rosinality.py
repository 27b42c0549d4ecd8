"""State dictionaries of rosinality/stylegan2-pytorch as records (standard library and NumPy).

A checkpoint holds `g_ema` and perhaps `g`, `d` and `latent_avg`; one written during training also the optimizers'
state and the command line. The dictionaries name tensors and nothing else: sizes come from shapes, the rest is fixed by
that code base. Facts: model.py and convert_weight.py of rosinality/stylegan2-pytorch.
"""

import re
import warnings

from tf_stylegan.legacy import torch_layouts as layouts
from tf_stylegan.legacy.torch_pickle import Tensor

NAMES = {"g": "G", "d": "D", "g_ema": "Gs"}  # keys of the file's dictionary, names of the records, in this order
_FIXED = {"label_size": 0, "conv_clamp": None, "num_fp16_res": 0, "nonlinearity": "lrelu"}
_MAX_BLOCKS = layouts.MAX_RESOLUTION.bit_length() - 3  # above 4x4


def find_states(value):
    """`{"g_ema": {name: Tensor}}` and the others of a file's dictionary; empty if it is not of this family.

    A generator's state dictionary alone counts as `g_ema`.
    """
    if is_state(value) and "input.input" in value:
        value = {"g_ema": value}
    return {key: value[key] for key in NAMES if is_state(value.get(key))}


def is_state(value):
    return (
        type(value) is dict
        and len(value) > 0
        and all(type(name) is str and type(tensor) is Tensor for name, tensor in value.items())
    )


def records(states, average, source):
    """NetworkRecords of state dictionaries.

    Args:
        states: from `find_states`.
        average: Tensor, the average of w toward which truncation goes, or None. A file has one, for all generators.
        source: layouts.Source.
    Raises:
        CorruptPickleError: the dictionaries are of other networks; the message lists missing and left-over names.
    """
    result = []
    for key, tensors in states.items():
        what = f"network {key}"
        for name in tensors:
            if re.search(r"(^|\.)[id]wt\.", name):
                raise source.corrupt(f"{what} is a SWAGAN (it has wavelets: {name[:80]!a}), which is not known here")
        if key == "d":
            result.append(_discriminator(tensors, what, source))
        else:
            result.append(_generator(tensors, average, NAMES[key], what, source))
    generators = [tensors for key, tensors in states.items() if key != "d"]
    if generators and type(average) is not Tensor:
        layouts.warn_of_no_average("this checkpoint", source)
    if not all(map(_has_noise, generators)):
        warnings.warn(f"{source.file}: this checkpoint comes without noise maps, so they are zero here", stacklevel=2)
    return tuple(result)


def _generator(tensors, average, name, what, source):
    blocks = min(_count(tensors, r"to_rgbs\.\d+\.bias"), _MAX_BLOCKS)
    kwargs = {
        "num_channels": _size(tensors, "to_rgb1.bias", 1),
        "resolution": 4 << blocks,
        "latent_size": _size(tensors, "style.1.weight", 1),
        "dlatent_size": _size(tensors, "style.1.weight", 0),
        "mapping_layers": _count(tensors, r"style\.\d+\.bias"),
        "mapping_fmaps": _size(tensors, "style.1.weight", 0),
        "mapping_lrmul": 0.01,
        "mapping_nonlinearity": "lrelu",
        "label_fmaps": None,
        "architecture": "skip",
        "use_noise": True,
        "truncation_psi": 1,
        **_FIXED,
    }
    absent = set()
    if type(average) is Tensor:
        tensors = {**tensors, "latent_avg": average}
    else:
        absent.add("dlatent_avg")
    if not _has_noise(tensors):
        absent.update(f"G_synthesis/noise{i}" for i in range(2 * blocks + 1))
    arrays = layouts.convert(
        kwargs,
        tensors,
        _generator_name,
        filters={f"convs.{2 * i}.conv.blur.kernel" for i in range(blocks)}
        | {f"to_rgbs.{i}.upsample.kernel" for i in range(blocks)},
        absent=absent,
        what=what,
        source=source,
    )
    return layouts.generator_record(name, kwargs, arrays, "", "rosinality")


def _discriminator(tensors, what, source):
    blocks = min(_count(tensors, r"convs\.\d+\.skip\.1\.weight"), _MAX_BLOCKS)
    kwargs = {
        "num_channels": _size(tensors, "convs.0.0.weight", 1),
        "resolution": 4 << blocks,
        "mapping_layers": 0,
        "mapping_fmaps": None,
        "mapping_lrmul": 0.1,
        "architecture": "resnet",
        "mbstd_group_size": 4,
        "mbstd_num_features": 1,
        **_FIXED,
    }

    def torch_name(name):
        return _discriminator_name(name, kwargs["resolution"])

    arrays = layouts.convert(
        kwargs,
        tensors,
        torch_name,
        filters={f"convs.{i}.{layer}.0.kernel" for i in range(1, blocks + 1) for layer in ("conv2", "skip")},
        what=what,
        source=source,
    )
    return layouts.discriminator_record("D", kwargs, arrays, "", "rosinality")


def _has_noise(tensors):
    """Whether it has noise maps: the first version of that code had none."""
    return any(name.startswith("noises.") for name in tensors)


def _count(tensors, pattern):
    """How many names match, which is checked later: where their numbers have gaps, names are missing and left over."""
    return sum(re.fullmatch(pattern, name) is not None for name in tensors)


def _size(tensors, name, axis):
    """A size of a tensor; 1 where it is missing, which is checked later."""
    return tensors[name].shape[axis] if name in tensors and len(tensors[name].shape) > axis else 1


_PART_NAMES = {
    "weight": "conv.weight",
    "mod_weight": "conv.modulation.weight",
    "mod_bias": "conv.modulation.bias",
    "noise_strength": "noise.weight",
}


def _generator_name(name):
    """Name of the tensor behind a legacy name: `G_synthesis/8x8/Conv0_up/weight`, `convs.0.conv.weight`."""
    if name == "dlatent_avg":
        return "latent_avg"
    network, *scopes, part = name.split("/")
    if network == "G_mapping":
        return f"style.{int(scopes[0].removeprefix('Dense')) + 1}.{part}"
    if part.startswith("noise") and not scopes:
        return f"noises.noise_{part.removeprefix('noise')}"
    if part == "const":
        return "input.input"
    step = int(scopes[0].partition("x")[0]).bit_length() - 4  # 0 at 8x8
    if scopes[1] == "ToRGB":
        layer = "to_rgb1" if step < 0 else f"to_rgbs.{step}"
        return f"{layer}.{_PART_NAMES.get(part, part)}"
    layer = {"Conv": "conv1", "Conv0_up": f"convs.{2 * step}", "Conv1": f"convs.{2 * step + 1}"}[scopes[1]]
    return f"{layer}.{_PART_NAMES.get(part, 'activate.bias')}"


_HEAD = {"4x4/Conv": "final_conv.0", "4x4/Dense0": "final_linear.0", "Output": "final_linear.1"}


def _discriminator_name(name, resolution):
    """As `_generator_name`, of a discriminator: `8x8/Conv1_down/bias`, `convs.2.conv2.2.bias` (at resolution 16)."""
    scope, _, part = name.rpartition("/")
    if scope in _HEAD:
        return f"{_HEAD[scope]}.{part}" if part == "weight" or scope != "4x4/Conv" else "final_conv.1.bias"
    res, _, layer = scope.partition("/")
    if layer == "FromRGB":
        return "convs.0.0.weight" if part == "weight" else "convs.0.1.bias"
    block = f"convs.{resolution.bit_length() - int(res.partition('x')[0]).bit_length() + 1}"
    first = {"Conv0": "conv1.0", "Conv1_down": "conv2.1", "Skip": "skip.1"}[layer]
    if part == "bias":  # of the activation, the next in the sequence
        first = f"{first[:-1]}{int(first[-1]) + 1}"
    return f"{block}.{first}.{part}"
