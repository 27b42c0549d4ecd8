"""What every command does with errors: one line and exit code 2 for the user's mistakes, a traceback for ours."""

import argparse
import contextlib
import glob
import os
import re
import signal
import sys
import tempfile

from absl.flags import argparse_flags

from tf_stylegan import files
from tf_stylegan.errors import UserError


class _OneLine:
    """Says what is wrong with the options in one line, without the usage of the command."""

    def error(self, message):
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


class ArgumentParser(_OneLine, argparse.ArgumentParser):
    """argparse's; mistakes are one line and exit code 2."""


class FlagsParser(_OneLine, argparse_flags.ArgumentParser):
    """absl's, for commands started by `app.run`; mistakes are one line and exit code 2."""


def boolean(text):
    """yes, true, t, y, 1 and their opposites, as the originals take them."""
    if text.lower() in ("yes", "true", "t", "y", "1"):
        return True
    if text.lower() in ("no", "false", "f", "n", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither yes (1, true) nor no (0, false)")


def add_switch(parser, *names, help, default=False):
    """An option that is on where it is named; `=no` turns it off, as every other boolean."""
    parser.add_argument(*names, nargs="?", const=True, default=default, type=boolean, metavar="BOOL", help=help)


def run(function, *args, **kwargs):
    """Calls `function(*args, **kwargs)` for a command's `main`; use as `sys.exit(cli.run(main, arguments))`.

    SIGTERM, and SIGHUP from a terminal that closes, end the call like Ctrl-C does, through exceptions, so that
    temporary files are cleaned up; a function that handles a signal itself only has to install its own handler.

    Returns:
        exit code: what the function returned (None counts as 0), 2 after a UserError, 129 after SIGHUP, 130 after
        Ctrl-C, 141 when nobody reads the output any more, 143 after SIGTERM.
    """
    ending = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # or nohup has it ignored, and the function is to go on
        ending.append(signal.SIGHUP)
    previous = {number: signal.signal(number, lambda number, _: sys.exit(128 + number)) for number in ending}
    try:
        code = function(*args, **kwargs) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except UserError as error:
        # A message may quote a file or a server: nothing in it is to command the terminal.
        text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(error))
        print(f"error: {text}", file=sys.stderr)
        return 2
    except PermissionError as error:
        print(f"error: no permission for {error.filename}; change it, or the user you are", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads the output, `head` for one, has seen enough
        files.leave([sys.stdout.fileno()])  # or Python complains when it flushes
        return 141
    except OSError as error:
        if not _is_output(error):
            raise
        files.leave([sys.stdout.fileno()])
        print(f"error: could not write what the command prints: {error.strerror}; free some space", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _is_output(error):
    """Whether it is standard output that an OSError comes from: then it takes no other line either."""
    if error.filename is not None or sys.stdout is None:
        return False
    try:
        print(flush=True)
    except OSError as again:
        return again.errno == error.errno
    return False


def terminals():
    """Those of standard output and error that are terminals."""
    return [number for number in (1, 2) if os.isatty(number)]


def load_tensorflow():
    """Imports TensorFlow without its greeting; call it before anything that imports it.

    Its libraries tell of oneDNN and of missing GPUs before they look at any log level, which newcomers take for
    errors; `gpu_trouble` has what they said. `TF_CPP_MIN_LOG_LEVEL=0` shows all of it. "float32" means float32 from
    here on, also on GPUs that would rather round what they multiply to ten bits (TF32): bfloat16 can be asked for.
    """
    with contextlib.ExitStack() as stack:
        if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") != "0":
            sys.stderr.flush()
            said, stderr = stack.enter_context(tempfile.TemporaryFile()), os.dup(2)
            stack.callback(os.close, stderr)
            stack.callback(os.dup2, stderr, 2)
            os.dup2(said.fileno(), 2)
            stack.callback(_keep, said)
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.config.experimental.enable_tensor_float_32_execution(False)


_startup = []  # lines that TensorFlow's libraries printed


def _keep(said):
    said.seek(0)
    _startup[:] = said.read().decode("utf-8", "replace").splitlines()


def gpu_trouble():
    """One line on the NVIDIA GPU of this machine that TensorFlow does not use; None where all is well."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU") or not glob.glob("/dev/nvidia[0-9]*"):
        return None
    said = [re.sub(r"^.*?\.cc:\d+\] ", "", line) for line in _startup if re.search(r"cuda|dlopen|gpu", line, re.I)]
    said = [line for line in said if re.search(r"fail|error|cannot|could not", line, re.I)]
    why = f" ({said[-1].strip().rstrip('.')})" if said else ""
    return (
        f"this machine has an NVIDIA GPU that TensorFlow cannot use{why}; pip install 'tensorflow[and-cuda]' (the "
        "extra `cuda`) brings CUDA, and the driver must be new enough for it: see nvidia-smi"
    )
