"""`python -m tf_stylegan.explore --network=FILE`: a page for looking into a network, in the browser.

Pictures of seeds, truncation, style mixing, directions and films, by sliders and buttons. The page is served on this
machine, for this machine alone unless --host says otherwise, and needs no network.
"""

import argparse
import importlib.util
import os
import sys
import tempfile
import threading
import webbrowser

from absl import app

from tf_stylegan import cli
from tf_stylegan.commands.options import add_precision, file_name, open_network
from tf_stylegan.errors import UserError


def port_number(text):
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to 65535")


def parse_args(argv):
    parser = cli.FlagsParser(prog="explore", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--network",
        required=True,
        metavar="FILE",
        type=file_name,
        help="network pickle of any generation, its address, or a known name",
    )
    parser.add_argument("--host", default="127.0.0.1", help="who can open the page: 0.0.0.0 is anyone on the network")
    parser.add_argument(
        "--port", type=port_number, metavar="N", help="default: 7860, or one that is free if that is taken"
    )
    cli.add_switch(parser, "--no-browser", help="do not open the page, only print its address")
    add_precision(parser)
    return parser.parse_args(argv[1:])


def has_screen():
    """Whether a browser could show itself; without a screen one that lives in the terminal would take it over."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))


def open_explorer(network, precision=None):
    """An Explorer of a file, an address or a known name."""
    Gs = open_network(network, precision)
    from tf_stylegan.explore.drawing import Explorer

    return Explorer(Gs, os.path.splitext(os.path.basename(os.fspath(network)))[0])


def main(args):
    missing = [name for name in ("gradio", "imageio_ffmpeg") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"the page needs {' and '.join(missing)}: pip install -e '.[explore]'")
    explorer = open_explorer(args.network, args.precision)
    explorer.picture(explorer.settings(0))  # so that the first visitor does not wait for the graph
    with tempfile.TemporaryDirectory(prefix="tf_stylegan-explore-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # before Gradio is imported, which makes folders at once
        from tf_stylegan.explore import address, server
        from tf_stylegan.explore.page import Page
        from tf_stylegan.explore.session import Sessions

        listening = address.listen(args.host, args.port)
        where = address.address_of(listening, args.host)
        sessions = Sessions(folder)
        serving = server.Server(server.make_app(Page(explorer, sessions), args.host), listening)
        print(f"{explorer.name}: open {where} in a browser. Ctrl-C ends it.", flush=True)
        if not address.is_loopback(args.host):
            print("Note: anyone who reaches this machine can open the page.", flush=True)
        if not args.no_browser and has_screen():
            threading.Thread(target=webbrowser.open, args=[where], daemon=True).start()
        try:
            serving.run()
        except KeyboardInterrupt:
            print("Stopped.")
        finally:
            sessions.end_all()


def run(args):
    return cli.run(main, args)


if __name__ == "__main__":
    sys.exit(app.run(run, flags_parser=parse_args))
