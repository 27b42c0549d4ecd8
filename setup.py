"""Everything is said in setup.cfg but the compiled operations, which may come along: see tf_stylegan/ops/build.py.

`python setup.py build_ext --inplace` compiles them into a checkout, `pip install --no-build-isolation .` into an
install.
Whatever goes wrong there is said and left out: an install never fails for want of a compiler.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from tf_stylegan.ops import build  # noqa: E402  it needs nothing that pip would have to install first


class CompileOps(build_ext):
    """Compiles the operations into the package, or says why not."""

    def run(self):
        package = ROOT if self.inplace else Path(self.build_lib)
        build.build(package / "tf_stylegan" / "ops", report=lambda text: print(text, flush=True))

    def get_outputs(self):
        return [str(path) for path in (Path(self.build_lib) / "tf_stylegan" / "ops").glob("compiled_*.so")]

    def get_output_mapping(self):
        return {}


class WithSources(build_py):
    """Takes custom_ops/ along, so that `python -m tf_stylegan.doctor --build` works in an installed package too."""

    def run(self):
        super().run()
        if not getattr(self, "editable_mode", False):
            target = Path(self.build_lib) / "tf_stylegan" / "custom_ops"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / "custom_ops", target)


wanted = os.environ.get("TF_STYLEGAN_SKIP_OPS") != "1"
setup(
    cmdclass={"build_ext": CompileOps, "build_py": WithSources},
    # No sources here: the list is in build.py. An extension makes setuptools ask for build_ext at all.
    ext_modules=[Extension("tf_stylegan.ops.compiled_ops", [])] if wanted else [],
)
