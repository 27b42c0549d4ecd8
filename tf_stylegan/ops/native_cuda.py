"""Where the CUDA kernels run when they are called by way of ctypes: a GPU, or a device that is only played (F1).

The GPU is reached through the driver's own library, so that nothing but a driver has to be installed.
"""

import contextlib
import ctypes

import numpy as np


class _Device:
    """Calls CUDA kernels on memory of its own; not used by itself."""

    def run(self, kernels, name, params, inputs, outputs):
        """As `Kernels._run`, by way of this device's memory."""
        with contextlib.ExitStack() as stack:
            for field, array in inputs.items():
                setattr(params, field, self.upload(array, stack))
            # An output that is an input's array is computed in place.
            places = {field: self._place(array, inputs, params) for field, array in outputs.items()}
            for field, array in outputs.items():
                setattr(params, field, places[field] or self.upload(array, stack))
            code = self.launch(kernels.lib, name, params, stack)
            if code:
                words = getattr(kernels.lib, "tf_stylegan_cuda_error", None)
                raise ValueError(f"{name}: {words(code).decode() if words else f'error {code}'}")
            for field, array in outputs.items():
                self.download(array, getattr(params, field))

    @staticmethod
    def _place(array, inputs, params):
        return next((getattr(params, field) for field, other in inputs.items() if other is array), None)

    def launch(self, lib, name, params, stack):
        """Launches and returns the error code."""
        return self.launcher(lib, name, params, stack)()

    def launcher(self, lib, name, params, stack):
        """A function that launches and returns the error code; what a launch needs beside its arrays is there."""
        size = getattr(lib, f"tf_stylegan_{name}_cuda_workspace")(ctypes.byref(params))
        workspace = self.allocate(size, stack) if size else None
        if name == "upfirdn_2d":
            return lambda: lib.tf_stylegan_upfirdn_2d_cuda(ctypes.byref(params), workspace, None)
        params.workspace = workspace
        return lambda: getattr(lib, f"tf_stylegan_{name}_cuda")(ctypes.byref(params), None)


class Played(_Device):
    """The CPU in a GPU's place, for kernels compiled with tests/kernels/emulated_cuda.h."""

    def allocate(self, size, stack):
        return self.upload(np.empty(size, np.uint8), stack)

    def upload(self, array, stack):
        stack.callback(lambda array: None, array)  # keeps it
        return array.ctypes.data

    def download(self, array, pointer):
        assert array.ctypes.data == (pointer or array.ctypes.data)


class Gpu(_Device):
    """The first GPU.

    Raises:
        OSError: if there is no driver or no GPU.
    """

    def __init__(self):
        self.driver = ctypes.CDLL("libcuda.so.1")
        self._call("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        # The context that CUDA's runtime, which is in the library, uses too.
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)

    def _call(self, name, *arguments):
        code = getattr(self.driver, name)(*arguments)
        if code:
            raise OSError(f"{name} failed with CUDA error {code}")

    def allocate(self, size, stack):
        """Address of `size` bytes that live as long as the ExitStack."""
        pointer = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(max(size, 1)))
        stack.callback(self._call, "cuMemFree_v2", pointer)
        return pointer.value

    def upload(self, array, stack):
        pointer = self.allocate(array.nbytes, stack)
        if array.nbytes:
            size = ctypes.c_size_t(array.nbytes)
            self._call("cuMemcpyHtoD_v2", ctypes.c_uint64(pointer), ctypes.c_void_p(array.ctypes.data), size)
        return pointer

    def download(self, array, pointer):
        if array.nbytes:
            size = ctypes.c_size_t(array.nbytes)
            self._call("cuMemcpyDtoH_v2", ctypes.c_void_p(array.ctypes.data), ctypes.c_uint64(pointer), size)

    def synchronize(self):
        """Waits for everything launched; raises OSError if a kernel failed."""
        self._call("cuCtxSynchronize")

    def repeated(self, call, stack, *args, **kwargs):
        """A function of n that launches n times what `call(*args, **kwargs)` would, and waits for the last.

        Args:
            call: a method of `native.Kernels`.
            stack: ExitStack that keeps the memory.
        """
        kept = _Kept(self, stack)
        call(*args, **kwargs, device=kept)

        def run(n):
            for _ in range(n):
                if kept.launch_again():
                    raise OSError("the launch failed")
            self.synchronize()

        return run

    def repeated_copy(self, size, stack):
        """The same for a copy of `size` bytes within the GPU's memory."""
        to, from_ = (ctypes.c_uint64(self.allocate(size, stack)) for _ in range(2))

        def run(n):
            for _ in range(n):
                self._call("cuMemcpyDtoDAsync_v2", to, from_, ctypes.c_size_t(size), None)
            self.synchronize()

        return run


class _Kept(_Device):
    """Remembers one launch, with its memory."""

    def __init__(self, gpu, stack):
        self.gpu, self.stack = gpu, stack
        self.download = gpu.download

    def upload(self, array, stack):
        return self.gpu.upload(array, self.stack)

    def launch(self, lib, name, params, stack):
        self.launch_again = self.gpu.launcher(lib, name, params, self.stack)
        return self.launch_again()
