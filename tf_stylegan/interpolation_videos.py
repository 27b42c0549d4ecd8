"""`python -m tf_stylegan.interpolation_videos COMMAND --pkl-path=FILE …`: run_generator as it was once spelled."""

import sys

from absl import app

from tf_stylegan import run_generator


def parse_args(argv):
    return run_generator.parse_args(argv, "interpolation_videos", ("--pkl-path", "--network"))


main = run_generator.main


if __name__ == "__main__":
    sys.exit(app.run(main, flags_parser=parse_args))
