"""Looks at and converts files of networks: `python tools/convert_pickle.py --help`."""

import argparse
import json
import os
import sys
import textwrap
import warnings

from tf_stylegan import cli, download
from tf_stylegan.errors import UserError
from tf_stylegan.legacy import npz_io, pickle_io, reading
from tf_stylegan.legacy.names import listed
from tf_stylegan.legacy.summary import summarize
from tf_stylegan.legacy.torch_layouts import lacks_average

_EPILOG = """examples:
  %(prog)s inspect stylegan2-ffhq-config-f.pkl
  %(prog)s to-npz network-snapshot-000100.pkl network.npz
  %(prog)s to-savedmodel https://example.org/network.pkl generator --network=Gs

FILE is a network pickle of ProGAN, StyleGAN, StyleGAN2 or StyleGAN2-ADA, one of stylegan2-ada-pytorch's or stylegan3's
(StyleGAN2 networks), a .pt checkpoint as rosinality's, an .npz or .keras file written by this tool; an address of one,
or the name of a published network: ffhq, cars, metfaces, ... Nothing in a file is ever executed."""


def build_parser():
    """The command line, as an ArgumentParser."""
    parser = cli.ArgumentParser(
        prog="convert_pickle.py",
        description="Tells what is in a file of networks, and writes the networks in other formats.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, summary, *target):
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.add_argument("file", metavar="FILE", help="file of networks, address, or name of a published network")
        for metavar, text in target:
            sub.add_argument("target", metavar=metavar, help=text)
        return sub

    p = command("inspect", "Print what is in a file.")
    p.add_argument("--json", action="store_true", help="print for programs")
    for name, summary, metavar, text in (
        ("to-keras", "Write one network in Keras' format.", "OUT.keras", "file to write"),
        (
            "to-savedmodel",
            "Write one network for TensorFlow alone: a SavedModel.",
            "DIR",
            "folder to write, new or empty",
        ),
    ):
        p = command(name, summary, (metavar, text))
        p.add_argument("--network", metavar="NAME", help="G, D or Gs (Gs, else the last generator)")
        if name == "to-keras":
            _add_force(p)
    _add_force(command("to-npz", "Write all networks as NumPy arrays.", ("OUT.npz", "file to write")))
    _add_force(command("to-pkl", "Write all networks as a TensorFlow network pickle.", ("OUT.pkl", "file to write")))
    return parser


def _add_force(parser):
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def main(argv=None):
    """Parses the command line and calls the package; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    commands = {
        "inspect": _inspect,
        "to-keras": _to_keras,
        "to-npz": _to_npz,
        "to-pkl": _to_pkl,
        "to-savedmodel": _to_savedmodel,
    }
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"warning: {_printable(message)}", file=sys.stderr)
        commands[arguments.command](arguments)
    if arguments.command != "inspect":
        print(arguments.target)
    return 0


# ---- conversions


def _to_keras(arguments):
    _check_file(arguments.target, ".keras", arguments.force)
    network = _network(arguments)
    from tf_stylegan.legacy import export

    export.write_keras(arguments.target, network)


def _to_npz(arguments):
    _check_file(arguments.target, ".npz", arguments.force)
    npz_io.write(arguments.target, _records(download.local_path(arguments.file)))


def _to_pkl(arguments):
    _check_file(arguments.target, ".pkl", arguments.force)
    records = _records(download.local_path(arguments.file))
    if any(map(lacks_average, records)):  # such a pickle would not say that its zeros are none
        _load_tensorflow()
        from tf_stylegan.legacy.networks import network_from_record, record_from_network

        records = [record_from_network(network_from_record(r)) if lacks_average(r) else r for r in records]
    pickle_io.write(arguments.target, records)


def _to_savedmodel(arguments):
    target = arguments.target
    if os.path.lexists(target) and (not os.path.isdir(target) or os.listdir(target)):  # now, not after a download
        raise UserError(f"{target} exists and is not an empty folder; give a new one")
    network = _network(arguments)
    from tf_stylegan.legacy import export

    export.write_saved_model(target, network)


def _check_file(target, ending, force):
    if not target.endswith(ending):
        raise UserError(f"{target}: the file to write must end in {ending}")
    if os.path.isdir(target):
        raise UserError(f"{target} is a folder; give the name of a file")
    if os.path.lexists(target) and not force:
        raise UserError(f"{target} exists; give another name, or --force to replace it")


def _records(path):
    """The NetworkRecords of a file; of .keras files only through TensorFlow."""
    if reading.needs_tensorflow(path):
        _load_tensorflow()
    return reading.read_records(path)


def _network(arguments):
    """The Keras network that is asked for."""
    path = download.local_path(arguments.file)
    records = _records(path)
    named = {record.name: record for record in reversed(records)}
    record = named.get(arguments.network) if arguments.network else reading.choose_generator(records) or records[-1]
    if record is None:
        raise UserError(f"--network={arguments.network}: {path} holds {listed(r.name for r in records)}")
    _load_tensorflow()
    from tf_stylegan.legacy.networks import network_from_record

    return network_from_record(record, path)


def _load_tensorflow():
    # Nothing here computes much: leave the GPUs to a training that may be running.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cli.load_tensorflow()


# ---- inspect


def _inspect(arguments):
    path = os.fspath(download.local_path(arguments.file))
    facts = summarize(_records(path))
    facts = {"file": path, "bytes": os.path.getsize(path), **facts}
    text = json.dumps(facts, indent=2, default=repr, skipkeys=True) if arguments.json else "\n".join(_lines(facts))
    print(text)


def _lines(facts):
    """What `inspect` prints, line by line. A file may hold any text: what a terminal might obey is escaped."""
    width, height = facts["resolution"] or (None, None)
    texts = facts["source_characters"]
    rows = {
        "file": facts["file"],
        "size": f"{facts['bytes'] / 1e6:,.1f} MB ({facts['bytes']:,} bytes)",
        "generation": facts["generation"],
        "config": facts["config"],
        "networks": ", ".join(network["name"] for network in facts["networks"]),
        "resolution": width and f"{width} x {height}",
        "channels": facts["channels"],
        "labels": facts["label_size"] or "none",
        "latents": facts["latent_size"],
        "w": facts["dlatent_size"] and f"{facts['dlatent_size']}, in {facts['num_styles']} styles",
        "mapping": facts["mapping_layers"] and f"{facts['mapping_layers']} layers",
        "level of detail": None if facts["lod"] is None else f"{facts['lod']:g}",
        "source text": f"{' and '.join(f'{n:,}' for n in texts)} characters, kept as text" if texts else "none",
    }
    yield from (f"{name:<16}{_printable(value)}" for name, value in rows.items() if value is not None)
    yield ""
    head = ("network", "function", "architecture", "parameters", "all numbers", "variables")
    table = [head]
    for n in facts["networks"]:
        function = " + ".join([n["func"], *n["parts"].values()])
        counts = [f"{n[key]:,}" for key in ("parameters", "scalars", "variables")]
        table.append([*map(_printable, (n["name"], function, n["architecture"])), *counts])
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        cells = [cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        yield "  ".join(cells).rstrip()
    yield ""
    for title, key in (("keywords", "keywords"), ("keywords unknown to this package", "unknown_keywords")):
        alike = {}
        for network in facts["networks"]:
            text = ", ".join(f"{_printable(name)}={_short(value)}" for name, value in sorted(network[key].items()))
            alike.setdefault(text, []).append(_printable(network["name"]))
        for text, names in alike.items():
            if text:
                yield from textwrap.wrap(f"{title} of {', '.join(names)}: {text}", 100, subsequent_indent="    ")
    yield "Nothing in the file was executed."


def _printable(value):
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value))


def _short(value):
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":
    sys.exit(cli.run(main))
