"""Answers of language models: what is removed around the one sentence, and what makes an answer unusable.

`CLEANERS` and `PROBLEMS` are the two tables of kinds.  What is left after cleaning is surely the answer; where that is
not sure, nothing is cleaned and the answer is a problem.  Real captions pass both unchanged.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hicm.memory.summarisers.refusals import ERROR, REFUSAL, TALK, THINKING_ALOUD

CUT, BLOCKED, TOOL, THINKING, REFUSES, EMPTY = (
    "was cut off", "was blocked by a filter", "is a call of a tool", "is thinking, not an answer",
    "refuses", "is empty")
ECHO = "repeats the question"
LONGEST = 1 << 18  # characters of an answer that is looked at
LETTERS = 50  # per word allowed, on average: more are no words
ROUNDS = 20  # most repetitions of cleaning


@dataclass(frozen=True)
class Answer:
    """What a chat model returned: its text, and what its server says is wrong with it ("": nothing)."""

    text: str
    problem: str = ""


@dataclass(frozen=True)
class Verdict:
    """The sentence of an answer, or (``text`` empty) what is wrong with it; and the kinds of what was removed."""

    text: str
    problem: str = ""
    cleaned: tuple[str, ...] = ()


_THINK = r"(?:seed:|ant)?think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|analysis|rationale|cot"
_THINK_OPEN = re.compile(rf"[<\[\u25c1]\|?(?:begin_of_)?(?:{_THINK})(?:\s[^<>]*)?\|?[>\]\u25b7]|<unused94>(?:thought)?",
                         re.IGNORECASE)
_THINK_CLOSE = re.compile(rf"[<\[\u25c1]\|?(?:/\|?|end_of_)(?:{_THINK})\|?[>\]\u25b7]|<unused95>", re.IGNORECASE)
_CHANNEL = re.compile(r"(?:<\|start\|>)?(?:assistant)?(?:<\|channel\|>(?:analysis|commentary)"
                      r"|(?:analysis|commentary)(?=[A-Z]))")  # gpt-oss, with its tokens or after they were removed
_CHANNEL_FINAL = re.compile(r"(?:<\|channel\|>|assistant)final(?:<\|message\|>)?")

_NOUN = r"(?:answer|summary|sentence|caption|output|response|json|tl;?dr)"
_THOUGHT = re.compile(rf"\W{{0,4}}(?:{_THINK}|explanation|question|let's think[^:\n]*)\W{{0,3}}:", re.IGNORECASE)
_THOUGHT_END = re.compile(rf"(?:\A|\W)(?:final )?{_NOUN}[*_]{{0,3}}:[*_]{{0,3}}", re.IGNORECASE)
_FINAL = re.compile(rf"(?:\A|[.!?\n])\W{{0,9}}final {_NOUN}[*_]{{0,3}}:[*_]{{0,3}}", re.IGNORECASE)

_TOKEN = re.compile(r"<[|\uff5c][^|\uff5c<>]{1,40}[|\uff5c]>|</?s>|\[/?INST\]|<</?SYS>>"
                    r"|</?(?:pad|unk|bos|eos|eot|sep|cls|mask|endoftext|im_start|im_end|start_of_turn|end_of_turn)>"
                    r"|\[(?:PAD|UNK|CLS|SEP|EOS|BOS|MASK)\]")
_TURN = re.compile(r".(?:[|\uff5c].*(?:end|eo[st]|start|return|call|user|assistant|system|pad).*|/?s|/?INST|</?SYS>"
                   r"|(?:pad|eos|bos|eot|sep|endoftext|im_start|im_end|start_of_turn|end_of_turn)).", re.IGNORECASE)
_TOKENS_FIRST = re.compile(rf"(?:\s*(?:{_TOKEN.pattern})(?:(?:system|user|assistant|model)(?=\W))?)+")
_OWN_TURN = re.compile(r"(?:<\|(?:im_start|start_header_id|start)\|>|<start_of_turn>)(?:assistant|model)"
                       r"|<[|\uff5c](?:assistant|begin_of_solution)[|\uff5c]>|\[/INST\]", re.IGNORECASE)

_ADJECTIVE = (r"(?:the|my|your|a|one|final|single|short|brief|concise|best|combined|common|requested|one-sentence"
              r"|summary|summari[sz]ing|summari[sz]ed|resulting|index)")
_STANDS = (r"(?:that|which)\s+(?:stands|summari[sz]es|represents|captures|describes|covers|combines)\b[^.:\n]{0,100}"
           r"|of\s+(?:all|these|the|at most)\b[^.:\n]{0,100}|for\s+(?:all|these|them)\b[^.:\n]{0,100}"
           r"|in\s+[^.:\n]{0,30}words?")
_YES = r"(?:(?:sure|certainly|of course|absolutely|okay|ok|great|alright|yes)\b[!.,]?\s*)?"
_LABEL = re.compile(
    rf"[*_#>\s]{{0,8}}{_YES}(?:(?:here|this|that|below)(?:'s|\u2019s| is| are)\b[^.:\n]{{0,40}}?\b{_NOUN}"
    rf"(?:,?\s+(?:{_STANDS}|(?:you|based|as|with)\b[^.:\n]{{0,60}}))?"
    rf"|(?:{_ADJECTIVE}\s+)*(?:{_NOUN}|conclusion|description|assistant|in (?:short|summary|one sentence)"
    r"|to summari[sz]e)"
    rf"(?:\s+(?:{_STANDS}))?(?:\s+(?:is|would be|could be))?\s*(?:\([^()\n]*\))?"
    r"|(?:sure|certainly|of course|absolutely|okay|here you go|here it is)!?"
    r"|(?:resumen|respuesta|zusammenfassung|antwort|r\u00e9sum\u00e9|r\u00e9ponse|resumo|resposta|riassunto|risposta"
    r"|\u043e\u0442\u0432\u0435\u0442|\u0438\u0442\u043e\u0433|\u0440\u0435\u0437\u044e\u043c\u0435"
    r"|\u603b\u7ed3|\u6458\u8981|\u7b54\u6848|\u56de\u7b54|\u8981\u7d04|\uc694\uc57d))"
    rf"[*_]{{0,3}}\s*[:\uff1a][*_]{{0,3}}\s*"
    rf"|[*_]{{0,3}}(?:(?:the|my|final) )*(?:answer|summary|caption)[*_]{{0,3}}\s+[-\u2013\u2014][*_]{{0,3}}\s+",
    re.IGNORECASE)
_HEADING = re.compile(rf"(?:#{{1,6}}\s*|\*\*)(?:{_ADJECTIVE}\s+)*{_NOUN}(?:\*\*)?\s*\n\s*"
                      r"|(?:assistant|model)\s*\n\s*", re.IGNORECASE)
_YES_FIRST = re.compile(r"(?:sure|certainly|of course|absolutely)!\s+", re.IGNORECASE)

_FENCE = re.compile(r"\A(?:```|~~~)(?:\w*[^\S\n]*\n|json\b)?\s*(.*?)\s*(?:```|~~~)\Z", re.DOTALL)
_ELEMENT = re.compile(r"\A<(\w[\w-]*)>(.*)</\1>\Z", re.DOTALL)
_ANSWER_END = re.compile(rf"</((?:final_?)?{_NOUN}|result)>", re.IGNORECASE)
_BOXED = re.compile(r"\A[^\\\n]{0,40}\\boxed\{(?:\\text\{)?([^{}]+)\}?\}\W{0,3}\Z")
_BULLET = re.compile(r"(?:#{1,6}|>|[-*\u2022\u2023\u2013]|\d{1,2}[.)])\s+")
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_COUNT = re.compile(r"[\[(]\s*(?:(?:word count|words|length)\s*:?\s*\d+|\d+ words?)\s*[\])]\.?\Z", re.IGNORECASE)
_QUOTES = (('"', '"'), ("'", "'"), ("\u201c", "\u201d"), ("\u201e", "\u201c"), ("\u2018", "\u2019"),
           ("\u00ab", "\u00bb"), ("\u300c", "\u300d"), ("`", "`"), ("*", "*"), ("_", "_"))
_JSON_KEYS = {"summary", "sentence", "answer", "final_answer", "final", "output", "response", "result", "text",
              "caption"}


def printable(text: str) -> str:
    """Without lone surrogates, which no file can hold, control characters, and invisible characters at the ends."""
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return re.sub(r"[\x00-\x08\x0e-\x1b\x7f]", "", paired).strip("\u200b\u2060\ufeff")


def _without_thinking(text: str) -> str:
    """What stands before or after closed thinking, also where only its end is marked (a template began it)."""
    if _THINK_CLOSE.search(text):
        after, opening = _after_last(_THINK_CLOSE, text), _THINK_OPEN.search(text)
        before = text[:opening.start()] if opening else ""
        if _has_words(before) and _has_words(after):
            return text  # which of them is the answer?
        text = before if _has_words(before) else after
    if _CHANNEL.match(text):
        text = _after_last(_CHANNEL_FINAL, text)
    if _THOUGHT.match(text):
        text = _after_last(_THOUGHT_END, text)
    return _after_last(_FINAL, text)


def _own_turn(text: str) -> str:
    """The model's own turn, without the special tokens around it and without turns it made up."""
    if _CHANNEL.match(text):
        return text  # its thinking did not end
    first = _TOKENS_FIRST.match(text)
    if first:
        own = _OWN_TURN.search(text)
        text = text[own.end():] if own else text[first.end():]
    for token in _TOKEN.finditer(text):
        if _TURN.fullmatch(token[0]) and _has_words(text[:token.start()]):
            return text[:token.start()]
    return text


def _from_json(text: str) -> str:
    if text[:1] + text[-1:] not in ("{}", "[]"):
        return text
    try:
        found = _only_string(json.loads(text, strict=False))
    except (ValueError, RecursionError):
        return text
    return text if found is None or len(found) >= len(text) else found


def _only_string(content: Any) -> str | None:
    """The one string in json content that can be the answer; None when there is none, or a choice."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return _only_string(content[0]) if len(content) == 1 else None
    if not isinstance(content, dict):
        return None
    if len(content) == 1:
        return _only_string(*content.values())
    found = [value for key, value in content.items() if key.lower() in _JSON_KEYS and isinstance(value, str)]
    return found[0] if len(found) == 1 else None


def _from_elements(text: str) -> str:
    ends = list(_ANSWER_END.finditer(text))
    if len(ends) == 1 and text.count(start := f"<{ends[0][1]}>") == 1 and text.index(start) < ends[0].start():
        return text[text.index(start) + len(start):ends[0].start()]
    if whole := _ELEMENT.match(text):
        return whole[2]
    boxed = _BOXED.match(text)
    return boxed[1] if boxed else text


def _without_markdown(text: str) -> str:
    if fence := _FENCE.match(text):
        return fence[1]
    text = _BOLD.sub(r"\2", text)
    bullet = None if len(text.splitlines()) > 1 else _BULLET.match(text)
    return text[bullet.end():] if bullet else text


def _without_label(text: str) -> str:
    for pattern in (_HEADING, _LABEL, _YES_FIRST):
        if (found := pattern.match(text)) and _has_words(text[found.end():]):
            return text[found.end():]
    return text


def _without_quotes(text: str) -> str:
    for opening, closing in _QUOTES:
        inner = text[len(opening):len(text) - len(closing)]
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) and opening not in inner:
            return inner
    return text


def _after_last(pattern: re.Pattern[str], text: str) -> str:
    *_, end = [0, *(found.end() for found in pattern.finditer(text))]
    return text[end:]


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))


# kind of what is removed -> how; repeated until nothing changes
CLEANERS: dict[str, Callable[[str], str]] = {
    "invalid characters": printable,
    "thinking": _without_thinking,
    "special tokens": _own_turn,
    "elements": _from_elements,
    "json": _from_json,
    "label": _without_label,
    "markdown": _without_markdown,
    "word count": lambda text: _COUNT.sub("", text),
    "quotes": _without_quotes,
}


def clean(text: str) -> tuple[str, tuple[str, ...]]:
    """The answer without what surely is not part of it, and the kinds of what was removed.

    Cleaning a cleaned answer changes nothing.  What is wrapped more than `ROUNDS` times is left as it is.
    """
    kinds: list[str] = []
    text = original = text.strip()
    for _ in range(ROUNDS):
        before = text
        for kind, cleaner in CLEANERS.items():
            if (after := cleaner(text).strip()) != text:
                text = after
                kinds.append(kind)
        if text == before:
            return text, tuple(dict.fromkeys(kinds))
    return printable(original).strip(), ()


_LIST = re.compile(r"([-*\u2022]|\d+[.)])\s")
_JSON = re.compile(r"[{\[]\s*[\"']")
_TAG = re.compile(rf"</?(?:p|br|b|i|em|strong|u|div|span|li|ul|ol|h\d|code|pre|a|html|body|{_NOUN}|result|sentences"
                  r"|texts?|user|assistant|system|tool_call|function)\s*/?>|```|\\boxed\{", re.IGNORECASE)
_PREAMBLE = re.compile(r"(here('s| is| are)|sure|certainly|of course|okay|summary|(the )?sentence)\b[^.]*:",
                       re.IGNORECASE)
_PLACEHOLDER = re.compile(rf"[\[<{{(]+[^\[\]<>{{}}()]*\b(?:{_NOUN}|texts?)\b[^\[\]<>{{}}()]*[\]>}})]+\.?\Z"
                          r"|n/?a\.?\Z|null\Z|undefined\Z|none\.?\Z"
                          r"|(?:yes|no|ok|okay|sure|certainly|of course|understood|got it)\W*\Z"
                          r"|\[object object\]", re.IGNORECASE)
# the first letter after the end of a sentence
_NEXT = re.compile(r"[.!?][\"')\]\u201d\u2019]*\s+[\"'(\[\u201c\u2018]*(\w)|[\u3002\uff01\uff1f]\s*(\w)")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")  # scripts without spaces


def _several_sentences(text: str) -> bool:
    return any((first := "".join(match.groups(""))).isalpha() and not first.islower()
               for match in _NEXT.finditer(text))


# the last words of a text that goes on, where the server does not say that it was cut
_GOES_ON = re.compile(r"(?:,\s*and|\b(?:an?|the|or|of|with|to|into))\s*,?\Z", re.IGNORECASE)

# what is wrong -> whether it is wrong with a cleaned answer; the first one that applies counts
PROBLEMS: dict[str, Callable[[str], Any]] = {
    EMPTY: lambda text: not _has_words(text),
    THINKING: lambda text: (_THINK_OPEN.search(text) or _THINK_CLOSE.search(text) or _CHANNEL.match(text)
                            or _THOUGHT.match(text) or THINKING_ALOUD.match(text)),
    REFUSES: lambda text: REFUSAL.search(text.replace("\u2019", "'")),
    "is an error message": ERROR.match,
    "is json": _JSON.match,
    "holds markup or special tokens": lambda text: _TOKEN.search(text) or _TAG.search(text),
    "has several lines": lambda text: len(text.splitlines()) > 1,
    "is not a sentence alone": lambda text: (_PREAMBLE.match(text) or _LIST.match(text) or _PLACEHOLDER.match(text)
                                             or not any(map(str.isalpha, text))),
    "talks about the sentences": TALK.match,
    "has several sentences": _several_sentences,
    CUT: _GOES_ON.search,
}


def check_answer(answer: Answer, words: int, wording: Sequence[str] = (), texts: Sequence[str] = ()) -> Verdict:
    """The sentence in an answer of at most ``words`` words, or what is wrong with it.

    ``wording``: the instructions it was asked with, ``texts``: the texts shown; an answer that repeats them is none.
    Words are separated by spaces; in scripts without spaces, two characters count as one.
    """
    if len(answer.text) > LONGEST:
        return Verdict("", answer.problem or f"has more than {words} words")
    text, cleaned = clean(answer.text)
    problem = answer.problem or next(_problems(text, words, wording, texts), "")
    return Verdict("", problem, cleaned) if problem else Verdict(text, "", cleaned)


def _problems(text: str, words: int, wording: Sequence[str], texts: Sequence[str]) -> Iterator[str]:
    yield from (problem for problem, applies in list(PROBLEMS.items())[:3] if applies(text))
    if _repeats(text, wording, texts):
        yield ECHO
    yield from (problem for problem, applies in PROBLEMS.items() if applies(text))
    if count_words(text) > words or len(text) > LETTERS * words:
        yield f"has more than {words} words"


def _repeats(text: str, wording: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether the answer holds an instruction, is a part of one, or begins with the first two texts shown."""
    said = plain_words(text)
    if any(f" {instruction} " in f" {said} " or (said.count(" ") >= 3 and f" {said} " in f" {instruction} ")
           for instruction in map(plain_words, wording)):
        return True
    start = plain_words(" ".join(texts[:2]))
    return len(texts) > 1 and start.count(" ") >= 5 and f"{said} ".startswith(f"{start} ")


def plain_words(text: str) -> str:
    """The words alone, in lower case."""
    return " ".join(re.findall(r"\w+", text.lower()))


def count_words(text: str) -> int:
    """The number of words; two characters of a script without spaces count as one."""
    unspaced = len(_UNSPACED.findall(text))
    return sum(any(map(str.isalnum, word)) for word in _UNSPACED.sub(" ", text).split()) + (unspaced + 1) // 2
