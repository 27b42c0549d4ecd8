"""What a file of networks may hold: readers refuse the rest, and so do writers (standard library only)."""

VERSIONS = (2, 3, 4, 5)
DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}  # of arrays: plain numbers
MAX_NETWORKS = 64  # components count too
MAX_LEVELS = 4  # components of components; real ones have none
MAX_NAME = 200  # characters: names are joined for every variable, so a file could multiply itself with a long one
MAX_DIMENSIONS = 32  # of arrays
MAX_KEY = (1 << 60) - 1  # of integers as keys of dicts: huge ones can be made to collide
MAX_WRITTEN_DEPTH = 50  # levels of containers that are written; more are read


def is_key(value):
    """Whether a value may be a key of a dict in every kind of file."""
    return value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) <= MAX_KEY)
