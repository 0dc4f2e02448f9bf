"""What is the same in every epoch is made once, as far as it fits; damage and workers are as before."""

import pytest

from hicm.data.kept import Kept


@pytest.mark.parametrize(("limit", "made"), [(0, 9), (10, 7), (29, 5), (30, 3), (1000, 3)])
def test_what_fits_is_made_once_and_the_rest_every_time(limit, made):
    calls = []
    kept = Kept(lambda row: calls.append(row) or [row] * 10, len, limit)
    for _ in range(3):
        assert [kept[row] for row in range(3)] == [[row] * 10 for row in range(3)]
    assert len(calls) == made


def test_a_result_that_raises_is_asked_for_again():
    answers = iter([KeyError("damaged"), "sound"])

    def make(row):
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    kept = Kept(make, len)
    with pytest.raises(KeyError):
        kept[0]
    assert kept[0] == kept[0] == "sound"
