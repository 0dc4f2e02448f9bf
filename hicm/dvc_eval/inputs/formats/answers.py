"""What a language model answered about every video, as free text (`hicm.dvc_eval.inputs.free_text`).

TimeChat's and VTG-LLM's raw results are one of these: ``[{"vname", "generated_cap"}]``.
"""

from collections.abc import Mapping
from typing import Any

from hicm.dvc_eval.inputs.formats import _rows
from hicm.dvc_eval.inputs.free_text import find_events
from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source
from hicm.values import kind_of

FORM = '{video: answer}, or a list or lines of {"video_id" or "vname", "answer" or "generated_cap"}'
SIDE = "predictions"
ANSWER = ("generated_cap", "answer", "prediction", "pred", "output", "response", "generated_text", "model_output")


def matches(source: Source) -> bool:
    """Whether there are texts by video, or rows with an answer."""
    if isinstance(source.data, Mapping) and source.data and all(isinstance(one, str) for one in source.data.values()):
        return any(find_events(text)[0] for text in list(source.data.values())[:50])
    first = source.rows[0] if source.rows else {}
    return (_rows.key(first, _rows.VIDEO) is not None and isinstance(_rows.get(first, ANSWER), str)
            and not _rows.has_span(first) and "task" not in first)


def read(source: Source, reading: Reading) -> None:
    """The events of every answer; a video whose answer has none has no events."""
    reading.file_names = True
    if isinstance(source.data, Mapping) and not _rows.key(source.data, ANSWER):
        answers: list[tuple[Any, Any]] = list(source.data.items())
    else:
        answers = [(_rows.video_of(row, f"{source.where}: row {number}"), _rows.get(row, ANSWER))
                   for number, row in enumerate(source.rows)]
    for number, (video, answer) in enumerate(answers):
        if not isinstance(answer, str):
            raise UserError(f"{source.where}: answer {number}: {kind_of(answer)}, expected text")
        add_answer(reading, reading.start(video), answer)


def add_answer(reading: Reading, name: str, answer: str) -> None:
    """The events of one answer about a video."""
    events, unread = find_events(answer)
    for event in events:
        reading.add(name, list(event.span), event.caption)
    for line in unread:
        reading.unread(line, f"video {name}")
    if not events and not unread:
        reading.unread(answer, f"video {name}")
