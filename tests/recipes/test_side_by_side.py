"""Several pieces of work at once: results in order, what they print, and how they end when one fails."""

import os
from functools import partial

import pytest

from hicm.errors import UserError
from hicm.recipes.demo.side_by_side import side_by_side
from tests.recipes import jobs


def test_two_at_a_time_give_their_results_in_order_and_what_they_print(tmp_path, capfd):
    work = [partial(jobs.meet, tmp_path, "one", "two"), partial(jobs.meet, tmp_path, "two", "one"),
            partial(jobs.meet, tmp_path, "three", "one")]
    assert side_by_side(work) == ["ONE", "TWO", "THREE"]
    assert sorted(capfd.readouterr().out.splitlines()) == ["one was here", "three was here", "two was here"]


def test_an_error_of_one_ends_the_others(tmp_path):
    with pytest.raises(UserError, match="found nothing; look elsewhere"):
        side_by_side([partial(jobs.wait, tmp_path), partial(jobs.refuse, tmp_path)])
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_process_that_dies_is_an_error_of_one_line():
    with pytest.raises(UserError, match="ended with status 3 before it was done; see above, and run the same command"):
        side_by_side([partial(jobs.die, 3)])
