"""Groups of duplicates against the definition, looked up pair by pair."""

import numpy as np
import pytest
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


@given(looks(), st.integers(0, 8), st.randoms(use_true_random=False))
def test_near_by_parts_finds_what_one_by_one_finds(case, distance, random):
    found, order = case
    colors = [(random.choice((0, 30, 60)),) * 3 for _ in found]
    hashes = np.array(found, np.uint64)
    one_by_one, by_parts = duplicates._one_by_one(hashes, distance), duplicates._by_parts(hashes, distance)
    for first in range(len(found)):
        assert one_by_one(first).tolist() == by_parts(first).tolist()
    groups = duplicates.near(found, colors, order, distance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_by_parts", duplicates._one_by_one)
        assert duplicates.near(found, colors, order, distance) == groups


@pytest.fixture
def compared(monkeypatch):
    """List of how many hashes were compared, one number for each call."""
    counts, bitwise_count = [], np.bitwise_count

    def count(x):
        counts.append(x.size)
        return bitwise_count(x)

    monkeypatch.setattr(np, "bitwise_count", count)
    return counts


def test_many_alike_cost_one_pass(compared):
    count = 70_000
    groups = duplicates.near(np.zeros(count, np.uint64), np.zeros([count, 3]), range(count), 4)
    assert list(groups) == [0] and len(groups[0]) == count - 1
    assert sum(compared) < 7 * count


@pytest.mark.parametrize(("distance", "share"), [(4, 0.005), (7, 0.1), (8, 1)])
def test_few_of_many_are_compared(compared, distance, share):
    count = 5_000
    found = np.random.RandomState(0).randint(0, 1 << 63, count).astype(np.uint64)
    assert duplicates.near(found, GREY * count, range(count), distance) == {}
    assert sum(compared) <= share * count * (count - 1) / 2
