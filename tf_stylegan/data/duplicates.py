"""Finding pictures that are there more than once, byte for byte or as they look."""

import numpy as np

# Mean colours of near duplicates may differ by so many of 255 levels: brightened copies pass, a red and a blue version
# of one drawing do not.
_MAX_COLOR_DIFFERENCE = 32


def exact(digests, order):
    """Pictures with the same pixels.

    Args:
        digests: list of N hashable values.
        order: numbers of the pictures, the ones to keep first.
    Returns:
        {number: list of the numbers of its copies}, for the first of each, in this order.
    """
    groups = {}
    for number in order:
        groups.setdefault(digests[number], []).append(number)
    return {group[0]: group[1:] for group in groups.values() if len(group) > 1}


def near(looks, colors, order, distance):
    """Pictures that look alike.

    The first of the order gathers all that are close to it, then the next that is left, and so on: whoever stays is
    farther than `distance` from all others that stay, and nobody is dropped for the likeness to a dropped one.
    Each takes one pass over those that are left, in NumPy: N²/2 comparisons at worst, 70,000 pictures in some two
    seconds, and never more memory than a few values for each picture.

    Args:
        looks: N perceptual hashes, ints below 2^64.
        colors: mean colours, `[N, 3]`.
        order: numbers of the pictures to compare, the ones to keep first.
        distance: the most bits that may differ.
    Returns:
        {number: list of (number of a near duplicate, bits)}, for the first of each group, in this order.
    """
    order = np.asarray(order, np.int64)
    looks = np.asarray(looks, np.uint64)[order]
    colors = np.asarray(colors, np.int16).reshape(-1, 3)[order]
    free = np.ones(len(order), bool)
    groups = {}
    for first in range(len(order)):
        if not free[first]:
            continue
        bits = np.bitwise_count(looks[first + 1 :] ^ looks[first])
        found = np.flatnonzero(bits <= distance)
        if not len(found):
            continue
        found = found[free[first + 1 + found]]
        found = found[(np.abs(colors[first + 1 + found] - colors[first]) <= _MAX_COLOR_DIFFERENCE).all(axis=1)]
        if len(found):
            free[first + 1 + found] = False
            groups[int(order[first])] = [(int(order[first + 1 + other]), int(bits[other])) for other in found]
    return groups
