"""The compiled kernels by way of ctypes, without TensorFlow: for their tests, benchmarks and the doctor (F1).

The structures mirror custom_ops/kernels/*.h field by field. Arrays are NumPy's; bfloat16 travels as uint16. The CPU
kernels take them as they are, the CUDA kernels through a `device` of `ops.native_cuda`.
"""

import concurrent.futures
import ctypes
import os

import numpy as np

DTYPES = {"float32": 0, "bfloat16": 1, "float16": 2, "float64": 3}
ISAS = {"auto": 0, "base": 1, "avx2": 2, "avx512": 3}
# In the order of their codes.
ACTIVATIONS = ["linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish"]
MAX_TAPS = 32

_WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_PARALLEL_FOR = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, _WORK, ctypes.c_void_p)


def _fields(text):
    """`[(name, type)]` from lines such as "int64 n in_h in_w c"."""
    types = {"int64": ctypes.c_int64, "int32": ctypes.c_int32, "double": ctypes.c_double, "pointer": ctypes.c_void_p}
    lines = [line.split() for line in text.strip().splitlines()]
    return [(name, types[kind]) for kind, *names in lines for name in names]


class Threads(ctypes.Structure):
    """`tf_stylegan_threads`: who runs the pieces of a call."""

    _fields_ = [("parallel_for", _PARALLEL_FOR), ("context", ctypes.c_void_p)]


class FusedBiasAct(ctypes.Structure):
    """`tf_stylegan_fused_bias_act`; fields left out are 0 or null."""

    _fields_ = _fields("""
        int64 rows rows_per_sample c noise_rows
        int32 dtype act mode isa stream
        double alpha gain clamp
        pointer x ref dy aux y scale post_scale b noise strength sum_rows sum_channels sum_aux workspace
    """)


class Upfirdn2d(ctypes.Structure):
    """`tf_stylegan_upfirdn_2d`; fields left out are 0 or null."""

    _fields_ = _fields("""
        int64 n in_h in_w c out_h out_w pad_y pad_x
        int32 up_y up_x down_y down_x kh kw dtype isa stream epilogue
        pointer k x y
        double alpha gain clamp
        int64 noise_n
        pointer scale b noise strength
    """)


def pool(threads):
    """A `Threads` that deals each call's units to `threads` threads of this process, in as many equal pieces."""
    executor = concurrent.futures.ThreadPoolExecutor(threads)

    def parallel_for(context, total, cost, work, arg):
        edges = [total * i // threads for i in range(threads + 1)]
        list(executor.map(lambda i: work(arg, edges[i], edges[i + 1]), range(threads)))

    return Threads(_PARALLEL_FOR(parallel_for), None)


class Kernels:
    """The functions of one compiled library.

    Args:
        path: the library; it may have CPU kernels, CUDA kernels or both.
    Raises:
        OSError: if it cannot be loaded.
    """

    def __init__(self, path):
        self.lib = lib = ctypes.CDLL(os.fspath(path))
        pointer = ctypes.c_void_p
        for name, arguments, result in (
            ("error", [ctypes.c_int], ctypes.c_char_p),
            ("fused_bias_act_cpu", [pointer, pointer], ctypes.c_int),
            ("fused_bias_act_workspace", [pointer], ctypes.c_int64),
            ("upfirdn_2d_cpu", [pointer, pointer], ctypes.c_int),
            ("cuda_error", [ctypes.c_int], ctypes.c_char_p),
            ("fused_bias_act_cuda", [pointer, pointer], ctypes.c_int),
            ("fused_bias_act_cuda_workspace", [pointer], ctypes.c_int64),
            ("upfirdn_2d_cuda", [pointer, pointer, pointer], ctypes.c_int),
            ("upfirdn_2d_cuda_workspace", [pointer], ctypes.c_int64),
        ):
            if hasattr(lib, f"tf_stylegan_{name}"):
                function = getattr(lib, f"tf_stylegan_{name}")
                function.argtypes, function.restype = arguments, result

    def best_isa(self):
        """Name of the best instruction set of this machine."""
        return list(ISAS)[self.lib.tf_stylegan_best_isa()]

    @property
    def has_cuda(self):
        return hasattr(self.lib, "tf_stylegan_fused_bias_act_cuda")

    def cuda_trouble(self):
        """Why the CUDA kernels cannot run on this machine's GPU, or None."""
        if not self.has_cuda:
            return "it was compiled without CUDA kernels"
        code = self.lib.tf_stylegan_cuda_check()
        return self.lib.tf_stylegan_cuda_error(code).decode() if code else None

    def upfirdn_2d(self, x, k, up=(1, 1), down=(1, 1), pad=((0, 0), (0, 0)), dtype=None, **options):
        """x `[N, H, W, C]`, k `[kh, kw]`; pairs are (H, W). Returns y.

        Args:
            dtype: name in DTYPES; None is that of x.
            **options: `isa`, `stream`, those of `_run`, and for the epilogue `alpha`, `gain`, `clamp` and the arrays
                `scale`, `b`, `noise`, `strength`.
        """
        k = np.ascontiguousarray(k, np.float32)
        n, *size, c = x.shape
        out_size = [max(0, (size[i] * up[i] + sum(pad[i]) - k.shape[i]) // down[i] + 1) for i in (0, 1)]
        inputs = {"x": x} | {name: options.pop(name) for name in ("scale", "b", "noise", "strength") if name in options}
        epilogue = {name: options.pop(name) for name in ("alpha", "gain", "clamp") if name in options}
        y = options.pop("out", None)
        params = Upfirdn2d(
            n=n, in_h=size[0], in_w=size[1], c=c, out_h=out_size[0], out_w=out_size[1],
            pad_y=pad[0][0], pad_x=pad[1][0], up_y=up[0], up_x=up[1], down_y=down[0], down_x=down[1],
            kh=k.shape[0], kw=k.shape[1], k=k.ctypes.data, dtype=DTYPES[dtype or str(x.dtype)],
            isa=ISAS[options.pop("isa", "auto")], stream=options.pop("stream", 0),
            epilogue=bool(epilogue or len(inputs) > 1), **{"alpha": 1, "gain": 1, "clamp": -1} | epilogue,
            noise_n=inputs["noise"].shape[0] if "noise" in inputs else 0,
        )  # fmt: skip
        y = np.empty([n, *out_size, c], x.dtype) if y is None else y
        self._run("upfirdn_2d", params, inputs, {"y": y}, **options)
        return y

    def fused_bias_act(self, x, act="linear", sums=(), dtype=None, **options):
        """x `[N, …, C]` → y, or (y, *sums) where `sums` names some of "rows", "channels", "aux".

        Args:
            dtype: name in DTYPES; None is that of x.
            **options: `isa`, those of `_run`, and fields of the structure by their names: numbers and arrays.
        """
        n, c = x.shape[0], x.shape[-1]
        rows = x.size // c if c else 0
        dtype = dtype or str(x.dtype)
        y = options.pop("out", None)
        y = np.empty_like(x) if y is None else y
        inputs = {"x": x} | {name: value for name, value in options.items() if isinstance(value, np.ndarray)}
        fields = {name for name, _ in FusedBiasAct._fields_}
        numbers = {name: options[name] for name in options if name in fields and name not in inputs}
        numbers["isa"] = ISAS[numbers.get("isa", "auto")]
        real = np.float64 if dtype == "float64" else np.float32
        shapes = {"rows": [c], "channels": x.shape[:-1], "aux": [n, c]}
        results = {f"sum_{name}": np.empty(shapes[name], real) for name in sums}
        params = FusedBiasAct(
            rows=rows, rows_per_sample=rows // n if n else 0, c=c, dtype=DTYPES[dtype], act=ACTIVATIONS.index(act),
            noise_rows=inputs["noise"].size if "noise" in inputs else 0,
            **{"alpha": 0.2, "gain": 1, "clamp": -1} | numbers,
        )  # fmt: skip
        others = {name: value for name, value in options.items() if name not in fields}
        self._run("fused_bias_act", params, inputs, {"y": y, **results}, **others)
        return (y, *results.values()) if sums else y

    def _run(self, name, params, inputs, outputs, threads=None, device=None):
        """Calls a kernel.

        Args:
            name: "fused_bias_act" or "upfirdn_2d".
            params: its structure, to which the arrays' addresses are added.
            inputs, outputs: arrays by the names of the fields.
            threads: a `Threads` for the CPU kernels, None for the calling thread.
            device: None for the CPU, else an object of `ops.native_cuda`.
        Raises:
            ValueError: with the library's words.
        """
        inputs = {field: np.ascontiguousarray(array) for field, array in inputs.items()}
        if device is not None:
            return device.run(self, name, params, inputs, outputs)
        for field, array in [*inputs.items(), *outputs.items()]:
            setattr(params, field, array.ctypes.data)
        if name == "fused_bias_act":
            size = self.lib.tf_stylegan_fused_bias_act_workspace(ctypes.byref(params))
            workspace = np.empty(size, np.uint8)
            params.workspace = workspace.ctypes.data
        threads = None if threads is None else ctypes.byref(threads)
        code = getattr(self.lib, f"tf_stylegan_{name}_cpu")(ctypes.byref(params), threads)
        if code:
            raise ValueError(f"{name}: {self.lib.tf_stylegan_error(code).decode()}")
        return None
