"""The compiled convolutions by way of ctypes, without TensorFlow: for their tests and benchmarks (F1).

The structures mirror custom_ops/kernels/conv2d.h field by field. NumPy arrays go to the kernels as they are; bfloat16
travels as uint16.
"""

import ctypes

import numpy as np

from tf_stylegan.ops.native import ACTIVATIONS, ISAS, _fields

MAX_TAPS = 16  # of a kernel or filter, along each side
UNITS = {"auto": 0, "fma": 1, "dot": 2, "amx": 3}


class Conv2d(ctypes.Structure):
    """`tf_stylegan_conv2d`; fields left out are 0 or null."""

    _fields_ = _fields("""
        int64 n in_h in_w in_c mid_h mid_w out_h out_w out_c pad_y pad_x fir_pad_y fir_pad_x noise_n
        int32 kh kw up down fir_h fir_w w_turned w_swapped dtype isa unit thread_count act
        double alpha gain clamp
        pointer x w in_scale fir out_scale b noise strength y
    """)


class FilterGradient(ctypes.Structure):
    """`tf_stylegan_conv2d_filter_gradient`; fields left out are 0 or null."""

    _fields_ = _fields("""
        int64 n in_h in_w in_c out_h out_w out_c pad_y pad_x
        int32 kh kw up down w_turned w_swapped dtype isa unit thread_count
        pointer x dy in_scale out_scale dw
    """)


def load(path):
    """The library at `path`, ready for the functions below."""
    return declare(ctypes.CDLL(str(path)))


def declare(lib):
    """A library that is open already, with the arguments of its convolutions declared."""
    lib.tf_stylegan_error.restype = ctypes.c_char_p
    for name in ("conv2d", "conv2d_filter_gradient"):
        getattr(lib, f"tf_stylegan_{name}_cpu").argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    lib.tf_stylegan_conv2d_unit.argtypes = [ctypes.c_int, ctypes.c_int]
    return lib


def conv2d(lib, x, w, up=1, down=1, pad=(0, 0), size=None, out=None, threads=None, thread_count=1, **extra):
    """x `[N, H, W, I]`, w `[kh, kw, I, O]` (or `[kh, kw, O, I]`) → y `[N, *size, O]`.

    Args:
        pad: zeros before the image, (top, left).
        size: of the result (of what `fir` filters, with `fir`); None leaves out what padding of the same size behind
            the image would not fill.
        out: array for the result, None for a new one.
        threads: a `native.Threads`, None for the calling thread.
        thread_count: how many threads the work is cut up for; the result is the same.
        **extra: `fir`, `fir_pad` ((top, bottom), (left, right)), `turned`, `swapped`, `isa`, `unit`, `act`, `alpha`,
            `gain`, `clamp`, `in_scale`, `out_scale`, `b`, `noise` `[1 or N, H, W]`, `strength`.
    Raises:
        ValueError: the library's words.
    """
    swapped = extra.pop("swapped", False)
    kh, kw = w.shape[:2]
    channels = w.shape[2] if swapped else w.shape[3]
    if size is None:
        size = [(x.shape[i + 1] * up - up + 1 + 2 * pad[i] - w.shape[i]) // down + 1 for i in (0, 1)]
    arrays = {
        name: extra.pop(name) for name in ("fir", "in_scale", "out_scale", "b", "noise", "strength") if name in extra
    }
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    fir = arrays.get("fir", np.empty([0, 0]))
    fir_pad = extra.pop("fir_pad", ((0, 0), (0, 0)))
    mid = size
    if fir.size:
        size = [mid[i] + sum(fir_pad[i]) - fir.shape[i] + 1 for i in (0, 1)]
    y = np.empty([x.shape[0], *size, channels], x.dtype) if out is None else out
    arrays |= {"x": np.ascontiguousarray(x), "w": np.ascontiguousarray(w, np.float32), "y": y}
    params = Conv2d(
        n=x.shape[0], in_h=x.shape[1], in_w=x.shape[2], in_c=x.shape[3], mid_h=mid[0], mid_w=mid[1],
        out_h=size[0], out_w=size[1], out_c=channels, pad_y=pad[0], pad_x=pad[1],
        fir_pad_y=fir_pad[0][0], fir_pad_x=fir_pad[1][0], noise_n=arrays["noise"].shape[0] if "noise" in arrays else 0,
        kh=kh, kw=kw, up=up, down=down, fir_h=fir.shape[0], fir_w=fir.shape[1],
        w_turned=extra.pop("turned", False), w_swapped=swapped, dtype=_dtype(x),
        isa=ISAS[extra.pop("isa", "auto")], unit=UNITS[extra.pop("unit", "auto")], thread_count=thread_count,
        act=ACTIVATIONS.index(extra.pop("act", "linear")), alpha=0.2, gain=1, clamp=-1,
    )  # fmt: skip
    for name, value in [*((name, array.ctypes.data) for name, array in arrays.items()), *extra.items()]:
        setattr(params, name, value)
    _run(lib, "conv2d", params, threads)
    return y


def filter_gradient(lib, x, dy, taps, up=1, down=1, pad=(0, 0), threads=None, thread_count=1, **extra):
    """x `[N, H, W, I]`, dy `[N, H', W', O]`, taps (kh, kw) → dw `[kh, kw, I, O]` float32.

    Args:
        **extra: `turned`, `swapped`, `isa`, `unit`, `in_scale`, `out_scale`, `out`; the rest as `conv2d`.
    """
    swapped = extra.pop("swapped", False)
    channels = [x.shape[3], dy.shape[3]]
    dw = extra.pop("out", None)
    dw = np.empty([*taps, *(channels[::-1] if swapped else channels)], np.float32) if dw is None else dw
    arrays = {"x": np.ascontiguousarray(x), "dy": np.ascontiguousarray(dy), "dw": dw}
    arrays |= {
        name: np.ascontiguousarray(extra.pop(name), np.float32) for name in ("in_scale", "out_scale") if name in extra
    }
    params = FilterGradient(
        n=x.shape[0], in_h=x.shape[1], in_w=x.shape[2], in_c=x.shape[3], out_h=dy.shape[1], out_w=dy.shape[2],
        out_c=dy.shape[3], pad_y=pad[0], pad_x=pad[1], kh=taps[0], kw=taps[1], up=up, down=down,
        w_turned=extra.pop("turned", False), w_swapped=swapped, dtype=_dtype(x),
        isa=ISAS[extra.pop("isa", "auto")], unit=UNITS[extra.pop("unit", "auto")], thread_count=thread_count,
    )  # fmt: skip
    for name, value in [*((name, array.ctypes.data) for name, array in arrays.items()), *extra.items()]:
        setattr(params, name, value)
    _run(lib, "conv2d_filter_gradient", params, threads)
    return dw


def _dtype(array):
    return 1 if array.dtype == np.uint16 else 0


def _run(lib, name, params, threads):
    code = getattr(lib, f"tf_stylegan_{name}_cpu")(
        ctypes.byref(params), None if threads is None else ctypes.byref(threads)
    )
    if code:
        raise ValueError(f"{name}: {lib.tf_stylegan_error(code).decode()}")
