"""Several pieces of work at once: results in order, what they print, and how they end when one fails."""

import json
import os
import subprocess
import sys
from functools import partial

import pytest

from hicm.errors import UserError
from hicm.recipes.demo import side_by_side as module
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


def test_without_a_server_to_fork_from_one_follows_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FORKS", False)
    module.begin_imports()
    assert side_by_side([os.getpid, partial(jobs.meet, tmp_path, "one", "one")]) == [os.getpid(), "ONE"]
    with pytest.raises(UserError, match="found nothing"):
        (tmp_path / "wait").touch()
        side_by_side([partial(jobs.refuse, tmp_path)])


def test_numpy_computes_on_one_thread_there_and_as_before_here():
    pytest.importorskip("threadpoolctl")
    script = """if __name__ == "__main__":
        import json, os
        from hicm.recipes.demo import side_by_side as module
        from tests.recipes import jobs
        module.IMPORTS[:] = ["numpy"]
        module.begin_imports()
        print(json.dumps([*module.side_by_side([jobs.blas_threads]), os.environ.get("OPENBLAS_NUM_THREADS")]))"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3"}
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    threads, here = json.loads(found.stdout)
    assert threads and set(threads) == {1} and here == "3"
