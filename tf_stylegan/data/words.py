"""Words that all commands for data share: counts, lists of names, and names that a terminal can take."""

_MAX_SHOWN = 10


def say(text):
    """Prints one line; whatever is in the names that it quotes, it stays one line and can be printed."""
    print(printable(text))


def printable(text):
    """Text for the terminal and for web pages: nothing in it commands either, and it can always be encoded."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def counted(count, one, many=None):
    """ "1 image", "2,000 images"; `many` for plurals that are not made with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shorten(names):
    """The first ten names, and how many more there are."""
    names = list(names)
    more = f", and {len(names) - _MAX_SHOWN:,} more" if len(names) > _MAX_SHOWN else ""
    return printable(", ".join(map(str, names[:_MAX_SHOWN]))) + more
