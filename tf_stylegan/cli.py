"""What every command does with errors: one line and exit code 2 for the user's mistakes, a traceback for ours."""

import signal
import sys

from tf_stylegan.errors import UserError


def run(function, *args, **kwargs):
    """Calls `function(*args, **kwargs)` for a command's `main`; use as `sys.exit(cli.run(main, arguments))`.

    SIGTERM ends the call like Ctrl-C does, through exceptions, so that temporary files are cleaned up; a function
    that handles either signal itself only has to install its own handler.

    Returns:
        exit code: what the function returned (None counts as 0), 2 after a UserError, 130 after Ctrl-C, 143 after
        SIGTERM.
    """
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return function(*args, **kwargs) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)
