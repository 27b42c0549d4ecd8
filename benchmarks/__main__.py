"""Measures everything again and writes it into docs/performance.md.

`python -m benchmarks --peer=DIR --peer-python=PYTHON [NAME …]`, on a machine that does nothing else. Every table of the
page stands below a comment that holds its command, once for each kind of processor; NAME picks the tables whose command
has it in. DIR is a checkout of stylegan2-ada-pytorch, PYTHON an interpreter with PyTorch; without them tables have no
peer's column.
"""

import argparse
import datetime
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
TABLES = re.compile(r"(<!-- measured: (?P<command>.*?) -->\n)(?P<tables>.*?)(\n<!-- end -->)", re.DOTALL)
MACHINE = re.compile(r"^(?=\d+ cores of )", re.MULTILINE)  # a table's first line, see `machine`
PEER = " --peer=PEER --peer-python=PYTHON"


def machine():
    """One line: processor, cores, what it multiplies with, TensorFlow, date."""
    import tensorflow as tf

    with open("/proc/cpuinfo") as file:
        facts = dict(re.findall(r"^(\w[\w ]*?)\s*: (.*)$", file.read(), re.MULTILINE))
    names = {"AVX-512": "avx512f", "AVX512_BF16": "avx512_bf16", "AMX": "amx_bf16"}
    has = [name for name, flag in names.items() if flag in facts["flags"].split()]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {facts['model name']} ({', '.join(has)}), TensorFlow {tf.__version__}"


def measure(command, args):
    """What `python -m benchmarks.…` prints."""
    if args.peer:
        command = command.replace("PEER", args.peer).replace("PYTHON", args.peer_python)
    else:
        command = command.replace(PEER, "")
    module, *options = command.split()
    print(f"{module} …", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, "-m", module, *options], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: {command} ended with {done.returncode}; {PAGE.name} is as it was before this table")
    return f"{machine()}, {datetime.date.today()}:\n\n{done.stdout.strip()}\n"


def with_table(tables, table):
    """The tables below one comment, with a new one in place of that of the same processor, or behind the others."""
    every = {words.partition(", TensorFlow")[0]: words.strip() + "\n" for words in [*MACHINE.split(tables), table]}
    return "\n" + "\n".join(words for words in every.values() if words.strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--peer", metavar="DIR")
    parser.add_argument("--peer-python", metavar="PYTHON", default=sys.executable)
    args = parser.parse_args()
    commands = [match["command"] for match in TABLES.finditer(PAGE.read_text())]
    for command in commands:
        if args.names and not any(name in command for name in args.names):
            continue
        table = measure(command, args)

        def add(match, command=command, table=table):
            return match[1] + with_table(match["tables"], table) + match[4] if match["command"] == command else match[0]

        PAGE.write_text(TABLES.sub(add, PAGE.read_text()))


if __name__ == "__main__":
    main()
