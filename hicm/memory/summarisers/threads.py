"""Several questions at once."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_threads(function: Callable[[Item], Found], items: Sequence[Item],
               workers: int) -> Iterator[tuple[Item, Found | Exception]]:
    """(item, outcome or error) in order of arrival.  When the caller stops, only calls in flight are finished."""
    def outcome(item: Item) -> Found | Exception:
        try:
            return function(item)
        except Exception as error:  # passed to the thread that can report it
            return error

    def work() -> None:
        while not stopped.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            done.put((item, outcome(item)))

    if workers == 1:
        yield from ((item, outcome(item)) for item in items)
        return
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Item, Found | Exception]] = queue.SimpleQueue()
    stopped = threading.Event()
    for item in items:
        waiting.put(item)
    for _ in range(min(workers, len(items))):
        threading.Thread(target=work, daemon=True).start()  # daemon: does not delay Ctrl-C
    try:
        for _ in items:
            yield done.get()
    finally:
        stopped.set()
