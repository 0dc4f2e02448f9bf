"""Decoding without repetitions within a caption."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from hicm.systems.captioner.repeats import NoRepeats

V, SIZE = 6, 9


@given(st.lists(st.integers(2, SIZE - 1), max_size=25), st.integers(1, 4))
def test_what_would_repeat_n_tokens_of_a_caption_is_forbidden(said, n):
    ids = torch.tensor([[0, *said]])
    found = NoRepeats(n, V)(ids, torch.zeros(1, SIZE), torch.zeros(1, dtype=torch.int64))[0]
    times = [place for place, token in enumerate(said) if token >= V]
    caption = said[times[-1] + 1:] if times else said
    parts = {tuple(caption[at:at + n]) for at in range(len(caption) - n + 1)}
    for token in range(SIZE):
        repeats = len(caption) >= n - 1 and (*caption[len(caption) - n + 1:], token) in parts
        assert bool(found[token].isinf()) == repeats, (caption, token)


def test_rows_are_judged_one_by_one_and_after_the_other_rule():
    def never_3(ids, scores, videos):
        return scores.index_fill(1, torch.tensor([3]), float("-inf"))

    ids = torch.tensor([[0, 2, 4, 2], [0, 5, 4, 2]])
    found = NoRepeats(2, V, never_3)(ids, torch.zeros(2, SIZE), torch.zeros(2, dtype=torch.int64))
    assert found.isinf().nonzero().tolist() == [[0, 3], [0, 4], [1, 3]]
