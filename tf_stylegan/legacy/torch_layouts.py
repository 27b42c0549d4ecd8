"""From PyTorch's tensors to the names, layouts and keywords of StyleGAN2-ADA for TensorFlow (standard library, NumPy).

Both PyTorch families hold the same networks under names of their own. Here is what they share: the variables that such
a network has, how an array is turned into the TensorFlow layout, what filters and channel counts say about the
keywords, and the finished record. Arrays stay views of the file where the layout allows it.
"""

import warnings

import numpy as np

from tf_stylegan.legacy.names import listed
from tf_stylegan.legacy.pickle_records import NetworkRecord
from tf_stylegan.legacy.pickle_values import CorruptPickleError

MAX_RESOLUTION = 1 << 14
_MAX_TAPS = 64


class Source:
    """The file being converted, for messages and for what may come out of it: sharing must not multiply its data."""

    def __init__(self, file, size):
        self.file, self.bytes_left = file, 4 * size + (1 << 20)  # float16 doubles, networks may share tensors

    def corrupt(self, what):
        """The error to raise for a file that is readable but does not hold what it should."""
        return CorruptPickleError(f"{self.file}: byte 0: a readable PyTorch file, but {what}.")

    def charge(self, array):
        """Counts an array that goes into a record."""
        self.bytes_left -= array.nbytes
        if self.bytes_left < 0:
            raise self.corrupt("its networks are far larger than the file")
        return array


def resolutions(resolution):
    """4, 8, … up to a resolution."""
    return [1 << i for i in range(2, resolution.bit_length())]


def generator_shapes(kwargs, channels):
    """The variables of a generator with these keywords and `channels[resolution]`: full legacy name to shape."""
    w, colors = kwargs["dlatent_size"], kwargs["num_channels"]
    shapes = {"dlatent_avg": (w,)}

    def modulated(scope, size, inputs, outputs, noisy=True):
        shapes[f"{scope}/weight"] = (size, size, inputs, outputs)
        shapes[f"{scope}/mod_weight"] = (w, inputs)
        shapes[f"{scope}/mod_bias"] = (inputs,)
        if noisy and kwargs["use_noise"]:
            shapes[f"{scope}/noise_strength"] = ()
        shapes[f"{scope}/bias"] = (outputs,)

    all_resolutions = resolutions(kwargs["resolution"])
    if kwargs["use_noise"]:
        for index in range(2 * len(all_resolutions) - 1):
            res = all_resolutions[(index + 1) // 2]
            shapes[f"G_synthesis/noise{index}"] = (1, 1, res, res)
    for res in all_resolutions:
        scope, count = f"G_synthesis/{res}x{res}", channels[res]
        if res == 4:
            shapes[f"{scope}/Const/const"] = (1, count, 4, 4)
            modulated(f"{scope}/Conv", 3, count, count)
        else:
            modulated(f"{scope}/Conv0_up", 3, channels[res // 2], count)
            modulated(f"{scope}/Conv1", 3, count, count)
            if kwargs["architecture"] == "resnet":
                shapes[f"{scope}/Skip/weight"] = (1, 1, channels[res // 2], count)
        if kwargs["architecture"] == "skip" or res == all_resolutions[-1]:
            modulated(f"{scope}/ToRGB", 1, count, colors, noisy=False)

    features = kwargs["latent_size"]
    if kwargs["label_size"]:
        _dense(shapes, "G_mapping/LabelEmbed", kwargs["label_size"], kwargs["label_fmaps"])
        features += kwargs["label_fmaps"]
    for index in range(kwargs["mapping_layers"]):
        is_last = index == kwargs["mapping_layers"] - 1
        outputs = w if is_last else kwargs["mapping_fmaps"]
        _dense(shapes, f"G_mapping/Dense{index}", features, outputs)
        features = outputs
    return shapes


def discriminator_shapes(kwargs, channels):
    """The variables of a discriminator with these keywords and `channels[resolution]`: legacy name to shape."""
    shapes, labels, mapped = {}, kwargs["label_size"], kwargs["mapping_fmaps"]
    if labels:
        _dense(shapes, "LabelEmbed", labels, mapped)
        for index in range(kwargs["mapping_layers"]):
            _dense(shapes, f"Mapping{index}", mapped, mapped)

    def convolution(scope, size, inputs, outputs):
        shapes[f"{scope}/weight"] = (size, size, inputs, outputs)
        shapes[f"{scope}/bias"] = (outputs,)

    for res in reversed(resolutions(kwargs["resolution"])):
        scope, count = f"{res}x{res}", channels[res]
        if kwargs["architecture"] == "skip" or res == kwargs["resolution"]:
            convolution(f"{scope}/FromRGB", 1, kwargs["num_channels"], count)
        if res > 4:
            convolution(f"{scope}/Conv0", 3, count, count)
            convolution(f"{scope}/Conv1_down", 3, count, channels[res // 2])
            if kwargs["architecture"] == "resnet":
                shapes[f"{scope}/Skip/weight"] = (1, 1, count, channels[res // 2])
    convolution("4x4/Conv", 3, channels[4] + kwargs["mbstd_num_features"], channels[4])
    _dense(shapes, "4x4/Dense0", channels[4] * 16, channels[4])
    _dense(shapes, "Output", channels[4], mapped if labels else 1)
    return shapes


def _dense(shapes, scope, inputs, outputs):
    shapes[f"{scope}/weight"] = (inputs, outputs)
    shapes[f"{scope}/bias"] = (outputs,)


def convert(kwargs, tensors, torch_name, *, filters, unused=(), absent=(), base=None, what, source):
    """The arrays of a network, and the keywords that follow from them.

    Args:
        kwargs: keywords that the shapes depend on; gets `resample_kernel`, `fmap_base` and `fmap_max`.
        tensors: the file's name to Tensor.
        torch_name: function from a legacy name to the file's.
        filters: names of the filters in use, all to be there.
        unused: names of filters that may be there too.
        absent: legacy names of what the file does not have: zeros.
        base: `channel_base` to prefer where several would do, or None.
        what, source: the network and its Source, for messages.
    Returns:
        dict of legacy names to float32 arrays in the legacy layout.
    Raises:
        CorruptPickleError: tensors are missing, left over or do not fit together.
    """
    is_generator = "dlatent_size" in kwargs
    shapes_of = generator_shapes if is_generator else discriminator_shapes
    widest = {res: _widest(res, is_generator) for res in resolutions(kwargs["resolution"])}
    names = shapes_of({**kwargs, "label_fmaps": 1, "mapping_fmaps": 1}, dict.fromkeys(widest, 1)).keys()
    expected = {torch_name(name) for name in names if name not in absent} | set(filters)
    _check_names(tensors, expected, unused, what, source)
    channels = {res: _outputs(tensors[torch_name(name)]) for res, name in widest.items()}
    kwargs["resample_kernel"] = resample_kernel({name: tensors[name] for name in sorted(filters)}, what, source)
    kwargs |= feature_maps(channels, base, what, source)
    shapes = shapes_of(kwargs, channels)
    arrays = {}
    for name, shape in shapes.items():
        if name in absent:
            array = np.broadcast_to(np.float32(0), shape)
        else:
            array = _to_legacy(name, tensors[torch_name(name)], shape, f"{torch_name(name)} of {what}", source)
        arrays[name] = source.charge(array)
    return arrays


def _widest(res, is_generator):
    """A weight whose outputs are the feature maps at a resolution."""
    layer = "Conv" if res == 4 else "Conv1" if is_generator else "Conv0"
    return "G_synthesis/" * is_generator + f"{res}x{res}/{layer}/weight"


def _outputs(tensor):
    return tensor.shape[-4] if len(tensor.shape) >= 4 else 0


def lacks_average(record):
    """Whether a record is of a PyTorch file without the average of w: it is zero then, as `absent` variables are."""
    average = record.variables.get("dlatent_avg")
    return record.origin != "dnnlib" and average is not None and not np.any(average)


def warn_of_no_average(what, source):
    """To be said where "dlatent_avg" is absent."""
    warnings.warn(
        f"{source.file}: {what} comes without the average of w, which truncation goes toward: networks made from it "
        "get the mean of 4096 mapped latents instead",
        stacklevel=2,
    )


def _check_names(tensors, expected, optional, what, source):
    """Every tensor has a place and every place a tensor, otherwise an error that lists both."""
    missing, extra = expected - tensors.keys(), tensors.keys() - expected - set(optional)
    if missing or extra:
        raise source.corrupt(f"{what} lacks {listed(sorted(missing))} and has left over {listed(sorted(extra))}")


def _to_legacy(name, tensor, shape, where, source):
    """The array of a tensor in the legacy layout, which must come out in this shape."""
    kind = name.rpartition("/")[2]
    if _moved(kind, tensor.shape, shape) != shape or 0 in shape:  # before anything is read
        raise source.corrupt(f"{where} is {list(tensor.shape)}, which does not give {name} {list(shape)}")
    array = tensor.array()
    if kind == "weight" and len(shape) == 4:
        array = array.reshape(array.shape[-4:]).transpose(2, 3, 1, 0)
        if name.endswith("/Conv0_up/weight"):
            array = array[::-1, ::-1]  # kept as a transposed convolution takes it, which the original makes as it runs
    elif kind in ("weight", "mod_weight"):
        array = array.T
    elif kind == "mod_bias":
        array = array - np.float32(1)  # PyTorch's includes the 1 that the original adds as it runs
    array = array.reshape(shape)
    array.flags.writeable = False  # copies too
    return array


def _moved(kind, found, shape):
    """Shape that a tensor of shape `found` gets in the legacy layout, where `shape` is wanted."""
    if kind in ("weight", "mod_weight"):
        found = found[1:] if len(found) == 5 and found[0] == 1 else found  # rosinality's modulated convolutions
        return (*found[2:], *found[1::-1])
    return shape if [n for n in found if n != 1] == [n for n in shape if n != 1] else found


def feature_maps(channels, base, what, source):
    """The keywords `fmap_base` and `fmap_max` that give `channels[resolution]`.

    Args:
        channels: resolution to number of feature maps.
        base: PyTorch's `channel_base` to prefer where several would do, or None.
        what, source: for messages.
    """
    largest = channels[4]
    below = {res: count for res, count in channels.items() if count < largest}
    low = max(res * count for res, count in channels.items())
    if not largest or type(base) is not int or not 0 < base < 1 << 40 or _maps(channels, base, largest) != channels:
        base = low
    if not largest or _maps(channels, base, largest) != channels:
        raise source.corrupt(
            f"{what} has feature maps that follow no rule of the form min(base / resolution, max): {channels}"
            + f", of which {below} are below the largest" * bool(below)
        )
    return {"fmap_base": base // 2 if base % 2 == 0 else base / 2, "fmap_max": largest}


def _maps(channels, base, largest):
    return {res: min(base // res, largest) for res in channels}


def resample_kernel(tensors, what, source):
    """The keyword `resample_kernel`, from all filters of a network, which must be the same but for their sum.

    Args:
        tensors: name to Tensor: `[taps]`, or `[taps, taps]` that is an outer product.
    """
    kernels = []
    for name, tensor in tensors.items():
        taps = tensor.shape[-1] if tensor.shape else 0
        if tensor.shape not in ((taps,), (taps, taps)) or not 0 < taps <= _MAX_TAPS:
            raise source.corrupt(f"{name} of {what} is no filter: its shape is {list(tensor.shape)}")
        array = tensor.array().astype(np.float64)
        kernel = array if array.ndim == 1 else array.sum(0)
        total = kernel.sum()
        if not np.isfinite(array).all() or abs(total) < 1e-6:
            raise source.corrupt(f"{name} of {what} is no filter: its sum is {total:.3g}")
        kernel = kernel / total
        if array.ndim == 2 and not np.allclose(array, np.outer(kernel, kernel) * total, atol=1e-5):
            raise source.corrupt(f"{name} of {what} is a filter that rows and columns do not share")
        kernels.append(kernel)
        if kernel.shape != kernels[0].shape or not np.allclose(kernel, kernels[0], atol=1e-5):
            raise source.corrupt(f"{name} of {what} is another filter than its neighbours, which no keyword expresses")
    if not kernels:
        return [1, 3, 3, 1]  # of no use in a network of 4x4, which has no filters
    whole = kernels[0] / np.abs(kernels[0][kernels[0] != 0]).min()
    is_whole = np.allclose(whole, whole.round(), atol=1e-3) and np.abs(whole).max() < 1000
    return [int(n) for n in whole.round()] if is_whole else [float(n) for n in kernels[0]]


_USUAL = {"use_noise": True, "dlatent_avg_beta": 0.995}  # keywords that go without saying at these values


def generator_record(name, kwargs, arrays, text, origin):
    """NetworkRecord of a generator; `arrays` by full legacy name, `text` is the source text that came with it.

    `dlatent_avg_beta` is written with the mapping network, where PyTorch has it: its own reader of TensorFlow's files
    refuses to know the word among the keywords of the whole.
    """
    kwargs = {key: value for key, value in kwargs.items() if key not in _USUAL or value != _USUAL[key]}
    beta = {"dlatent_avg_beta": kwargs.pop("dlatent_avg_beta")} if "dlatent_avg_beta" in kwargs else {}
    w, layers = kwargs["dlatent_size"], 2 * len(resolutions(kwargs["resolution"]))
    inputs = {"latents_in": [None, kwargs["latent_size"]], "labels_in": [None, kwargs["label_size"]]}
    images = {"images_out": _images(kwargs)}
    for_parts = {key: value for key, value in kwargs.items() if key != "truncation_psi"}

    def part(scope, part_kwargs, part_inputs, outputs):
        variables = {key.removeprefix(f"{scope}/"): a for key, a in arrays.items() if key.startswith(f"{scope}/")}
        return NetworkRecord(
            scope, scope, 5, part_kwargs, {}, variables, text, extra=_signature(part_inputs, outputs), origin=origin
        )

    synthesis = part("G_synthesis", for_parts, {"dlatents_in": [None, layers, w]}, images)
    for_mapping = {"dlatent_broadcast": layers, **for_parts, **beta}
    mapping = part("G_mapping", for_mapping, inputs, {"dlatents_out": [None, layers, w]})
    return NetworkRecord(
        name,
        "G_main",
        5,
        kwargs,
        {"synthesis": synthesis, "mapping": mapping},
        {"dlatent_avg": arrays["dlatent_avg"]},
        text,
        extra=_signature(inputs, images),
        origin=origin,
    )


def discriminator_record(name, kwargs, arrays, text, origin):
    """NetworkRecord of a discriminator."""
    inputs = {"images_in": _images(kwargs), "labels_in": [None, kwargs["label_size"]]}
    extra = _signature(inputs, {"scores_out": [None, 1]})
    return NetworkRecord(name, "D_main", 5, kwargs, {}, arrays, text, extra=extra, origin=origin)


def _images(kwargs):
    return [None, kwargs["num_channels"], kwargs["resolution"], kwargs["resolution"]]


def _signature(inputs, outputs):
    """What version 5 says about inputs and outputs, `{name: shape}`."""
    return {
        "input_shapes": [list(shape) for shape in inputs.values()],
        "output_shapes": [list(shape) for shape in outputs.values()],
        "input_names": list(inputs),
        "output_names": list(outputs),
    }
