"""The choice of candidates against Python's stable sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hicm.retrieval.select import NEVER, select


@given(st.data(), st.integers(0, 4), st.integers(1, 9), st.integers(1, 12),
       st.sampled_from(["top-k", "max", "similarity"]), st.sampled_from([-0.5, 0.0, 0.5]))
def test_the_best_are_kept_and_ties_keep_their_order(data, rows, count, k, rule, threshold):
    """Few different scores, so ties are many; rows of nothing but what may not be recalled; padding anywhere."""
    values = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, float(NEVER), float(NEVER)])
    lists = st.lists(st.lists(values, min_size=count, max_size=count), min_size=rows, max_size=rows)
    scores = np.asarray(data.draw(lists), np.float32).reshape(rows, count)
    order = [data.draw(st.permutations([*range(count), -1, -1])) for _ in range(rows)]
    candidates = np.asarray(order, np.int64).reshape(rows, count + 2)
    nodes, kept = select(candidates, scores, rule, k, threshold)
    assert nodes.dtype == np.int32 and kept.dtype == np.float32
    expected = []
    for row, wanted in enumerate(candidates):
        allowed = [node for node in wanted if node >= 0 and scores[row, node] > NEVER]
        best = sorted(allowed, key=lambda node, row=row: -scores[row, node])
        expected.append([node for node in best if scores[row, node] >= threshold] if rule == "similarity"
                        else best[:1 if rule == "max" else k])
    assert [[node for node in found if node >= 0] for found in nodes.tolist()] == expected
    longest = max(map(len, expected), default=0)
    assert nodes.shape == kept.shape == (rows, longest)
    for row, best in enumerate(expected):
        np.testing.assert_array_equal(kept[row], [*scores[row, best], *[0] * (longest - len(best))])
        assert (nodes[row, len(best):] == -1).all()
