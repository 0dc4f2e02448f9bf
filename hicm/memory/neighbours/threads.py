"""Matrix products side by side, each with one BLAS thread: results do not depend on the number of threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import starmap
from typing import Any, TypeVar

T = TypeVar("T")


def in_threads(work: Callable[..., T], items: Iterable[tuple]) -> Iterator[T]:
    """Results in order, from as many threads as the matrix product may use, each with a product of its own.

    Two products at once lose less time waiting than two halves of one, especially on a busy machine.  Without
    threadpoolctl (installed with scikit-learn) they run one after the other.
    """
    blas = _blas()
    if blas is None:
        yield from starmap(work, items)
        return
    threads = max((library["num_threads"] for library in blas.info()), default=1)
    with blas.limit(limits=1), ThreadPoolExecutor(threads) as executor:
        waiting: deque[Future[T]] = deque()
        for item in items:
            waiting.append(executor.submit(work, *item))
            if len(waiting) > 4 * threads:
                yield waiting.popleft().result()
        for one in waiting:
            yield one.result()


@cache
def _blas() -> Any:
    """The loaded BLAS libraries, NumPy's among them; looking for them takes milliseconds."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")


def for_each(work: Callable[..., None], items: Iterable[tuple]) -> None:
    """`in_threads` for work that leaves its result in place."""
    deque(in_threads(work, items), maxlen=0)
