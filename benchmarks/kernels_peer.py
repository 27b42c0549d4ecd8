"""The plugins of stylegan2-ada-pytorch on a GPU: what benchmarks.kernels runs in an interpreter with PyTorch."""

import importlib
import sys
import time

from benchmarks import workers
from benchmarks.kernel_cases import ACTIVATIONS, FILTERS, REPEATED, SHAPES, label, operations


def serve(folder, dtype):
    """In a worker: every row, named by `label`; each tells its own seconds."""
    sys.path.insert(0, folder)
    modules = ("torch", "torch_utils.ops.upfirdn2d", "torch_utils.ops.bias_act", "torch_utils.ops.fma")
    torch, upfirdn2d, bias_act, fma = (importlib.import_module(name) for name in modules)
    filter_of_four = upfirdn2d.setup_filter([1, 3, 3, 1], device="cuda")

    def call(shape, name):
        """What is to be timed, with its tensors."""
        n, h, w, c = shape
        order = torch.channels_last if dtype == "float16" and c > 3 else torch.contiguous_format
        x = torch.randn([n, c, h, w], device="cuda").to(getattr(torch, dtype)).to(memory_format=order)
        b = torch.randn([c], device="cuda").to(x.dtype)
        if name in FILTERS:
            case = FILTERS[name]
            up, down = (case.get(which, (1, 1))[0] for which in ("up", "down"))
            padding = [*case["pad"][1], *case["pad"][0]]
            return lambda: upfirdn2d.upfirdn2d(x, filter_of_four, up=up, down=down, padding=padding)
        case = ACTIVATIONS[name]
        act = lambda x: bias_act.bias_act(x, b, act=case["act"], gain=case.get("gain", 1))  # noqa: E731
        if not case.get("noise"):
            return lambda: act(x)
        scale = torch.rand([n, c, 1, 1], device="cuda").to(x.dtype)
        noise = torch.randn([n, 1, h, w], device="cuda").to(x.dtype)
        return lambda: act(fma.fma(x, scale, noise))

    def timed(shape, name):
        def run():
            function = call(shape, name)
            with torch.no_grad():
                function()
                torch.cuda.synchronize()
                start = time.perf_counter()
                for _ in range(REPEATED):
                    function()
                torch.cuda.synchronize()
            return time.perf_counter() - start

        return run

    rows = [(shape, name) for shape, _ in SHAPES for name in operations(shape) if not name.startswith("gradient")]
    workers.serve({label(*row): timed(*row) for row in rows})


if __name__ == "__main__":
    workers.worked(workers.parser(__doc__).parse_args(), serve=serve)
