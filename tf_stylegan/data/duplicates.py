"""Finding pictures that are there more than once, byte for byte or as they look."""

import itertools

import numpy as np
from tqdm import tqdm

# Mean colours of near duplicates may differ by so many of 255 levels: brightened copies pass, a red and a blue version
# of one drawing do not.
_MAX_COLOR_DIFFERENCE = 32
_MOST_BY_PARTS = 7  # bits; beyond, the parts are so short that most pictures agree in one


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
    Up to a distance of 7, only those are compared that agree in one of distance + 1 parts of the hash, as any two so
    close must; from 8 on each takes one pass over all that are left. Memory is some values for each picture and part.

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
    close = _by_parts(looks, distance) if distance <= _MOST_BY_PARTS else _one_by_one(looks, distance)
    free = np.ones(len(order), bool)
    groups = {}
    for first in tqdm(range(len(order)), "comparing", disable=None):
        if not free[first]:
            continue
        found = close(first)
        found = found[free[found]]
        found = found[(np.abs(colors[found] - colors[first]) <= _MAX_COLOR_DIFFERENCE).all(axis=1)]
        if len(found):
            free[found] = False
            bits = np.bitwise_count(looks[found] ^ looks[first])
            groups[int(order[first])] = [(int(order[other]), int(count)) for other, count in zip(found, bits)]
    return groups


def _one_by_one(looks, distance):
    """A function that gives the positions behind one whose hashes are within `distance` of its own, ascending."""

    def close(first):
        return first + 1 + np.flatnonzero(np.bitwise_count(looks[first + 1 :] ^ looks[first]) <= distance)

    return close


def _by_parts(looks, distance):
    """`_one_by_one`, looking only at those that agree in a part: of `distance` + 1 parts, one has no differing bit."""
    edges = np.linspace(0, 64, distance + 2).astype(int)
    parts = []
    for low, high in itertools.pairwise(edges):
        values = looks << np.uint64(64 - high) >> np.uint64(64 - high + low)
        members = np.argsort(values, kind="stable")
        grouped = values[members]
        parts.append((members, np.searchsorted(grouped, values), np.searchsorted(grouped, values, "right")))

    def close(first):
        found = np.concatenate([members[starts[first] : ends[first]] for members, starts, ends in parts])
        found = found[np.bitwise_count(looks[found] ^ looks[first]) <= distance]
        return np.unique(found[found > first])

    return close
