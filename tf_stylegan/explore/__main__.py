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
        help="network pickle of any generation, its address, or a known name",
    )
    parser.add_argument("--host", default="127.0.0.1", help="who can open the page: 0.0.0.0 is anyone on the network")
    parser.add_argument(
        "--port", type=port_number, metavar="N", help="default: 7860, or one that is free if that is taken"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page, only print its address")
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16", "float16"],
        help="of the features inside the network: bfloat16 is faster where the machine has it, float16 on GPUs",
    )
    return parser.parse_args(argv[1:])


def has_screen():
    """Whether a browser could show itself; without a screen one that lives in the terminal would take it over."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))


def open_network(network, precision=None):
    """An Explorer of a file; as `run_generator`, it looks at the file before TensorFlow takes its time."""
    from tf_stylegan.download import local_path
    from tf_stylegan.legacy import pickle_io

    path = local_path(network)
    if not os.fspath(path).endswith((".npz", ".keras")):
        pickle_io.read(path)
    cli.load_tensorflow()
    from tf_stylegan.explore.drawing import Explorer
    from tf_stylegan.legacy.networks import load_generator

    return Explorer(load_generator(path, precision), os.path.splitext(os.path.basename(os.fspath(network)))[0])


def main(args):
    missing = [name for name in ("gradio", "imageio_ffmpeg") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"the page needs {' and '.join(missing)}: pip install -e '.[explore]'")
    explorer = open_network(args.network, args.precision)
    explorer.picture(explorer.settings(0))  # so that the first visitor does not wait for the graph
    from tf_stylegan.explore import address, server
    from tf_stylegan.explore.page import Page
    from tf_stylegan.explore.session import Sessions

    listening = address.listen(args.host, args.port)
    where = address.address_of(listening, args.host)
    with tempfile.TemporaryDirectory(prefix="tf_stylegan-explore-") as folder:
        sessions = Sessions(folder)
        os.environ["GRADIO_TEMP_DIR"] = folder
        serving = server.Server(server.make_app(Page(explorer, sessions), args.host), listening)
        print(f"{explorer.name}: open {where} in a browser. Ctrl-C ends it.", flush=True)
        if args.host not in address.LOOPBACK:
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
