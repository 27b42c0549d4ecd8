"""Groups of duplicates against the definition, looked up pair by pair."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.data import duplicates

GREY = [(100, 100, 100)]


def test_exact_keeps_the_first_of_the_order():
    assert duplicates.exact(["a", "b", "a", "c", "b", "a"], [5, 4, 3, 2, 1, 0]) == {5: [2, 0], 4: [1]}
    assert duplicates.exact(["a", "b"], [0, 1]) == {}
    assert duplicates.exact([], []) == {}


@st.composite
def looks(draw):
    centers = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    flips = st.lists(st.integers(0, 63), max_size=6)
    picks = draw(st.lists(st.tuples(st.sampled_from(centers), flips), max_size=30))
    found = []
    for look, positions in picks:
        for position in positions:
            look ^= 1 << position
        found.append(look)
    order = draw(st.permutations(range(len(found))))
    return found, order


@given(looks(), st.integers(0, 8))
def test_near_leaves_nobody_close_to_another_and_drops_nobody_without_reason(case, distance):
    found, order = case
    groups = duplicates.near(found, GREY * len(found), order, distance)
    dropped = [other for group in groups.values() for other, _ in group]
    kept = [number for number in order if number not in dropped]
    assert len(set(dropped)) == len(dropped) and not set(groups) & set(dropped)

    def bits(a, b):
        return (found[a] ^ found[b]).bit_count()

    assert all(bits(a, b) > distance for a in kept for b in kept if a != b)
    for first, group in groups.items():
        for other, said in group:
            assert said == bits(first, other) <= distance and order.index(first) < order.index(other)


def test_near_does_not_chain():
    steps = [0b0, 0b11, 0b1111]  # each close to the next, the ends far from each other
    assert duplicates.near(steps, GREY * 3, [0, 1, 2], 2) == {0: [(1, 2)]}
    assert duplicates.near(steps, GREY * 3, [1, 0, 2], 2) == {1: [(0, 2), (2, 2)]}


def test_near_tells_colors_apart():
    colors = [(200, 0, 0), (0, 0, 200), (225, 20, 0), (233, 0, 0)]
    assert duplicates.near([7] * 4, colors, range(4), 4) == {0: [(2, 0)]}


def test_near_only_compares_those_in_the_order():
    assert duplicates.near([1, 1, 1], GREY * 3, [2, 0], 0) == {2: [(0, 0)]}
    assert duplicates.near([], [], [], 4) == {}


def test_many_alike_cost_one_pass():
    count = 70_000
    groups = duplicates.near(np.zeros(count, np.uint64), np.zeros([count, 3]), range(count), 4)
    assert list(groups) == [0] and len(groups[0]) == count - 1
