"""Batches of samples that belong together in groups: as different as they can be."""

from hypothesis import given
from hypothesis import strategies as st

from hicm.training.batches import plan_epoch, spread


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 5))
def test_nothing_is_lost_and_groups_are_apart(groups, size):
    order = list(range(len(groups)))[::-1]
    found = spread(order, groups, size)
    assert sorted(found) == sorted(order)
    batches = [found[start:start + size] for start in range(0, len(found), size)]
    for place, batch in enumerate(batches):
        left = [groups[row] for later in batches[place:] for row in later]
        apart = len({groups[row] for row in batch})
        assert apart == min(len(batch), len(set(left))), "as many groups as were left"


def test_without_groups_nothing_changes():
    plain = plan_epoch(30, 4, 1, 1, 0, 7, 2)
    assert plan_epoch(30, 4, 1, 1, 0, 7, 2, groups=list(range(30))) == plain
    together = plan_epoch(30, 4, 1, 1, 0, 7, 2, groups=[row // 10 for row in range(30)])
    assert together != plain
    assert sorted(index for step in together for micro in step for index in micro) == [(2, row) for row in range(30)]
