"""The one error that means "the user can fix this"."""


class UserError(ValueError):
    """A mistake in what the user gave: an argument, a file, a folder.

    The message is one line that says what is wrong, where, what was found, what was expected and what to do.
    Commands print that line and exit with code 2; a traceback is kept for errors of our own.
    """

    # Keras rewrites errors raised inside a layer's call into a page with all arguments, except those marked like this.
    _keras_call_info_injected = True
