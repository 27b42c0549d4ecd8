"""What benchmarks.kernels measures, for itself and for the interpreter that runs the peer."""

import numpy as np

K = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
# (shape of x, what a run of the network does there)
SHAPES = [
    ((4, 16, 16, 512), "in the caches"),
    ((4, 64, 64, 512), "32 MiB"),
    ((4, 256, 256, 64), "64 MiB"),
    ((4, 256, 256, 128), "128 MiB"),
    ((1, 1024, 1024, 32), "128 MiB"),
    ((4, 512, 512, 3), "pictures, 12 MiB"),
    ((4, 1024, 1024, 3), "pictures, 48 MiB"),
]
FILTERS = {
    "up 2": {"up": (2, 2), "pad": ((2, 1), (2, 1))},
    "down 2": {"down": (2, 2), "pad": ((1, 1), (1, 1))},
    "filter": {"pad": ((2, 1), (2, 1))},
}
ACTIVATIONS = {
    "bias": {"act": "linear"},
    "bias, lrelu": {"act": "lrelu", "gain": 1.4},
    "scale, noise, bias, lrelu": {"act": "lrelu", "gain": 1.4, "noise": True},
    "gradient of the last": {"act": "lrelu", "gain": 1.4, "noise": True, "mode": 1},
    "bias, tanh": {"act": "tanh"},
}


def operations(shape):
    """Names of those that networks apply to such tensors."""
    return [*FILTERS, "bias"] if shape[3] == 3 else [*FILTERS, *list(ACTIVATIONS)[1:]]


REPEATED = 20  # launches on a GPU that are timed together


def label(shape, name):
    """The name by which the peer is asked for a row."""
    return f"{'x'.join(map(str, shape))} {name}"
