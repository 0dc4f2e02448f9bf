"""Events in what language models write: the forms that are read, and what is no time."""

import pytest

from hicm.dvc_eval.inputs.free_text import find_events

SALT_STIR = [((0.0, 9.0), "add the salt"), ((12.5, 20.0), "stir it")]


@pytest.mark.parametrize("text", [
    "0 - 9 seconds, add the salt\n12.5 - 20 seconds, stir it",
    "0.0 - 9.0 seconds, add the salt 12.5 - 20.0 seconds, stir it",
    "From 0 to 9 seconds, add the salt\nfrom 12.5s to 20s: stir it",
    "add the salt, from 0 to 9.\nstir it (12.5 - 20 seconds).",
    "1. 0-9s: add the salt\n2. 12.5–20s: stir it",
    "* **0:00 - 0:09**: add the salt\n* **00:12.5 - 00:20**: stir it",
    "[0, 9] add the salt\n[12.5, 20] stir it",
    "Event 1: 0 - 9, add the salt\nEvent 2: 12.5 - 20, stir it",
    "Between 0 and 9 seconds, add the salt\nbetween 12.5 and 20 seconds, stir it",
    "1. Start time: 0 seconds\nEnd time: 9 seconds\nDescription: add the salt\n"
    "2. Start time: 12.5 seconds\nEnd time: 20 seconds\nDescription: stir it",
    "start time 0, end time 9, add the salt\nstart time 12.5, end time 20, stir it",
    "<TIME_ZERO> <TIME_ZERO> - <TIME_ZERO> <TIME_NINE> seconds, add the salt\n"
    "<TIME_ONE><TIME_TWO><TIME_DOT><TIME_FIVE> - <TIME_TWO> <TIME_ZERO> seconds, stir it",
    "1\n00:00:00,000 --> 00:00:09,000\nadd the salt\n\n2\n00:00:12,500 --> 00:00:20,000\nstir it",
])
def test_forms(text: str) -> None:
    assert find_events(text) == (SALT_STIR, [])


@pytest.mark.parametrize(("text", "events", "unread"), [
    ("0 - 9 seconds, add 1 - 2 cups, boil for 5-6 minutes.", [((0, 9), "add 1 - 2 cups, boil for 5-6 minutes.")], []),
    ("0 - 2 minutes: the beginning", [((0, 120), "the beginning")], []),
    ("1:00:05 - 1:01:00 late", [((3605, 3660), "late")], []),
    ("A man stands from 0 to 9 seconds while cooking", [((0, 9), "A man stands while cooking")], []),
    ("He runs, from 00 to 31. He sits, from 31 to 99. The end.",
     [((0, 31), "He runs"), ((31, 99), "He sits")], ["The end."]),
    ("Sure! 0 - 9 seconds, add salt. 9 - 12 seconds, stir.", [((0, 9), "add salt."), ((9, 12), "stir.")], ["Sure! "]),
    ("20 - 10 seconds, backwards", [((20, 10), "backwards")], []),
    ("0 - 9 seconds,\n9 - 12 seconds, stir", [((9, 12), "stir")], ["0 - 9"]),
    ("stir\n9 - 12 seconds", [], ["stir", "9 - 12"]),
    ("I cannot help with that.", [], ["I cannot help with that."]),
    ("On 2023-10-05, add 1/2-3/4 cups", [], ["On 2023-10-05, add 1/2-3/4 cups"]),
    ("add 1 - 2 cups", [], ["add 1 - 2 cups"]),
    ("0% - 10%: salt", [], ["0% - 10%: salt"]),
    ("At 5 seconds he runs", [], ["At 5 seconds he runs"]),
    ("", [], []), ("...\n---", [], []),
])
def test_what_is_read_and_what_is_not(text: str, events: list, unread: list[str]) -> None:
    assert find_events(text) == (events, unread)
