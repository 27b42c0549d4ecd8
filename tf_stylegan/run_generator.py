"""`python -m tf_stylegan.run_generator COMMAND`: pictures and films from a trained network."""

import re
import sys

from absl import app

from tf_stylegan import cli
from tf_stylegan.commands import films, latents, pictures

_EPILOG = "Each command has its own --help. What can be drawn from seeds is the same picture in every command."


def parse_args(argv, prog="run_generator", network_options=("--network",)):
    """Options of the command line; `run` is the function of the sub-command."""
    parser = cli.FlagsParser(prog=prog, description=__doc__, epilog=_EPILOG, allow_abbrev=False)

    class Command(cli.FlagsParser):
        pass

    Command.network_options = network_options
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Command)
    for part in (pictures, films, latents):
        part.add_commands(commands)
    return parser.parse_args(_joined(argv[1:]))


def _joined(arguments):
    """`--strength -3..3` as `--strength=-3..3`: argparse takes what begins with a minus for an option."""
    joined = []
    for argument in arguments:
        if joined and re.fullmatch(r"--[a-z-]+", joined[-1]) and re.fullmatch(r"-[\d.].*\.\..+", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def main(args):
    return cli.run(args.run, args)


if __name__ == "__main__":
    sys.exit(app.run(main, flags_parser=parse_args))
