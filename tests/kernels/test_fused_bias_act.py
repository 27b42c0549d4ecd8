"""fused_bias_act's kernels against the definition: activations, modes, sums, types, layouts and wrong arguments."""

import ctypes
import os
import subprocess
import sys

import kernel_helpers
import numpy as np
import pytest
from helpers import assert_close

from tf_stylegan.ops.native import ACTIVATIONS, ISAS, FusedBiasAct, pool

SETS = ["base", "avx2", "avx512"]
SUMS = ("rows", "channels", "aux")


@pytest.fixture(params=SETS)
def isa(request, kernels):
    if ISAS[request.param] > ISAS[kernels.best_isa()]:
        pytest.skip(f"this machine has no {request.param}")
    return request.param


def twin(x, act, rest, dtype):
    """What the definition makes of stored arguments."""
    values = {name: kernel_helpers.value(v, dtype) for name, v in rest.items() if name in ("ref", "dy", "aux")}
    return kernel_helpers.fused_bias_act(kernel_helpers.value(x, dtype), act, **{**rest, **values})


def check(results, expected, dtype):
    assert_close(kernel_helpers.value(results[0], dtype), expected[0], 3 * kernel_helpers.TOLERANCES[dtype], "y")
    for name, actual, right in zip(SUMS, results[1:], expected[1:]):
        assert_close(actual, right, 1e-10 if dtype == "float64" else 1e-5, f"sum of {name}")


@pytest.mark.parametrize("dtype", kernel_helpers.TOLERANCES)
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_values_and_sums(kernels, isa, act, dtype):
    rnd = np.random.RandomState(3)
    for mode in (0, 1, 2):
        for shape in (
            (2, 3, 5, 3),
            (3, 7),
            (2, 4, 4, 16),
            (1, 5, 2, 64),
            (2, 3, 2, 20),
            (1, 2, 1, 300),
            (2, 40, 30, 3),
        ):
            x, rest = kernel_helpers.random_call(rnd, act, mode, shape, dtype, everything=shape[-1] != 64)
            results = kernels.fused_bias_act(x, act, SUMS, dtype=dtype, isa=isa, **rest)
            check(results, twin(x, act, rest, dtype), dtype)
            del rest["aux"]
            for stream in (1, 2):  # without sums, through the caches and past them
                y = kernels.fused_bias_act(x, act, dtype=dtype, isa=isa, stream=stream, **rest)
                np.testing.assert_array_equal(y, results[0])


@pytest.mark.parametrize("c", [3, 32])
def test_sums_do_not_depend_on_threads(kernels, c):
    rnd = np.random.RandomState(c)
    x, rest = kernel_helpers.random_call(rnd, "lrelu", 1, (3, 230, 100, c), "float32", everything=True)
    first = kernels.fused_bias_act(x, "lrelu", SUMS, **rest)
    check(first, twin(x, "lrelu", rest, "float32"), "float32")
    for threads in (2, 5):
        again = kernels.fused_bias_act(x, "lrelu", SUMS, threads=pool(threads), **rest)
        for one, other in zip(first, again):
            np.testing.assert_array_equal(one, other)


def test_sums_of_many(kernels):
    """A million ones: added up one by one, float32 is still right; sixteen times as many, it would stop counting."""
    x = np.ones([1, 4096, 4096, 1], np.float16)
    _, total = kernels.fused_bias_act(x, "linear", ("rows",))
    assert total[0] == 1 << 24


@pytest.mark.parametrize("c", [3, 16])
def test_in_place(kernels, c):
    rnd = np.random.RandomState(0)
    x, rest = kernel_helpers.random_call(rnd, "tanh", 1, (2, 5, 3, c), "float32", everything=True)
    expected = kernels.fused_bias_act(x, "tanh", SUMS, **rest)
    for name, array in (("x", x), ("ref", rest["ref"])):
        copy = array.copy()
        arguments = {**rest, name: copy} if name != "x" else rest
        results = kernels.fused_bias_act(copy if name == "x" else x, "tanh", SUMS, out=copy, **arguments)
        for one, other in zip(results, expected):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_far_numbers(kernels, isa, act):
    """Where exp leaves the range of float32, and what is no number."""
    x = np.array([[-1e30, -200, -90, -20, -1e-6, -0.0, 0, 1e-6, 20, 90, 200, 1e30]], np.float32)
    with np.errstate(over="ignore"):
        expected = kernel_helpers.FORMULAS[act][0](np.float64(x))
    y = kernels.fused_bias_act(x, act, isa=isa)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-37)
    for mode in (0, 1):
        nothing = np.full([1, 20], np.nan, np.float32)
        y = kernels.fused_bias_act(nothing, act, isa=isa, mode=mode, ref=np.ones_like(nothing))
        assert np.isnan(y).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_clamped_results_are_recognised(kernels, dtype):
    """0.3 is stored rounded: the gradient must still know a result that was cut at it."""
    x = kernel_helpers.stored([[0.1, 0.29, 0.31, 5.0, -7.0]], dtype)
    y = kernels.fused_bias_act(x, "linear", dtype=dtype, clamp=0.3)
    ones = kernel_helpers.stored(np.ones([1, 5]), dtype)
    dx = kernels.fused_bias_act(ones, "linear", dtype=dtype, clamp=0.3, mode=1, ref=y)
    np.testing.assert_array_equal(kernel_helpers.value(dx, dtype), [[1, 1, 0, 0, 0]])


def test_every_float16_number(kernels, isa):
    """Read and written: all but what is no number come out as they went in, subnormal ones on any thread."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(1, -1)
    y, total = kernels.fused_bias_act(x, "linear", ("rows",), isa=isa)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(total, np.float32(x[0]))
    with kernel_helpers.subnormals_are_zero():
        y, total = kernels.fused_bias_act(x, "linear", ("rows",), isa=isa)
        halves = kernels.fused_bias_act(x, "linear", gain=0.5, isa=isa)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(total, np.float32(x[0]))
    with np.errstate(invalid="ignore"):  # signalling NaNs
        np.testing.assert_array_equal(halves, np.float16(np.float32(x) * 0.5))


@pytest.mark.parametrize("act", ["relu", "lrelu"])
def test_a_slope_of_zero_hides_infinity(kernels, isa, act):
    x = np.array([[-np.inf, -1, np.nan, 0, 1, np.inf]], np.float32)
    y = kernels.fused_bias_act(x, act, alpha=0, isa=isa)
    np.testing.assert_array_equal(y, [[0, 0, np.nan, 0, 1, np.inf]])


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"act": "relu", "mode": 1}, "out of range"),
        ({"mode": 1, "clamp": 1.0}, "out of range"),
        ({"mode": 2, "ref": np.ones([2, 3], np.float32)}, "out of range"),
        ({"mode": 3}, "out of range"),
        ({"mode": 1, "gain": 0.0}, "out of range"),
        ({"act": "lrelu", "mode": 1, "ref": np.ones([2, 3], np.float32), "alpha": -0.1}, "out of range"),
        ({"noise": np.ones([3], np.float32)}, "out of range"),
        ({"sums": ("aux",)}, "out of range"),
        ({"isa": "amx"}, "lacks the instruction set"),
    ],
)
def test_mistakes(kernels, monkeypatch, fields, message):
    monkeypatch.setitem(ISAS, "amx", 9)
    with pytest.raises(ValueError, match=message):
        kernels.fused_bias_act(np.ones([2, 3], np.float32), **fields)


def test_sizes_are_checked(kernels):
    x = np.ones([2, 3], np.float32)
    for fields, message in (
        ({"rows": 1 << 40, "c": 1 << 40}, "more elements than can be counted"),
        ({"rows": -1}, "out of range"),
        ({"rows_per_sample": 3}, "out of range"),
        ({"dtype": 4}, "out of range"),
        ({"y": None}, "out of range"),
    ):
        legal = {
            "rows": 2,
            "rows_per_sample": 1,
            "c": 3,
            "gain": 1,
            "clamp": -1,
            "x": x.ctypes.data,
            "y": x.ctypes.data,
        }
        assert kernels.lib.tf_stylegan_fused_bias_act_cpu(ctypes.byref(FusedBiasAct(**legal)), None) == 0
        code = kernels.lib.tf_stylegan_fused_bias_act_cpu(ctypes.byref(FusedBiasAct(**legal | fields)), None)
        assert message in kernels.lib.tf_stylegan_error(code).decode(), fields


@pytest.mark.parametrize("limit", [*SETS, "", "avx9"])
def test_the_environment_bounds_the_instruction_set(kernels, limit):
    """A process of its own: it is read once. The convolutions' units for bfloat16 go with it."""
    program = (
        "import sys; from tf_stylegan.ops.native import Kernels; kernels = Kernels(sys.argv[1]);"
        "print(kernels.best_isa(), kernels.lib.tf_stylegan_conv2d_unit(1, 0))"
    )
    command = [sys.executable, "-c", program, kernels.lib._name]
    done = subprocess.run(command, env=os.environ | {"TF_STYLEGAN_MAX_ISA": limit}, capture_output=True, text=True)
    isa, unit = done.stdout.split()
    if limit in SETS:
        assert isa == min(limit, kernels.best_isa(), key=lambda name: ISAS[name])
        assert unit == "1", "multiply-add"
    else:
        assert (isa, unit) == (kernels.best_isa(), str(kernels.lib.tf_stylegan_conv2d_unit(1, 0)))
