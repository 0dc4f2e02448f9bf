"""The synsets of a word, by METEOR's files and its rules for inflected words."""

from collections.abc import Callable, Iterable, Mapping

# (ending, replacement), in the order in which they are tried.
INFLECTIONS = [("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
               ("ies", "y"), ("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"),
               ("ing", ""), ("er", ""), ("est", ""), ("er", "e"), ("est", "e")]


def parse_synsets(text: str) -> dict[str, list[int]]:
    """{word: its synsets}, from alternating lines."""
    lines = text.split("\n")
    return {word: [int(synset) for synset in synsets.split()]
            for word, synsets in zip(lines[0::2], lines[1::2], strict=False)}


def parse_exceptions(text: str) -> dict[str, list[str]]:
    """{inflected form: its base forms}, from alternating lines of a base form and its inflected forms."""
    lines = text.split("\n")
    bases: dict[str, list[str]] = {}
    for base, forms in zip(lines[0::2], lines[1::2], strict=False):
        for form in forms.split():
            bases.setdefault(form, []).append(base)
    return bases


def synset_set(word: str, own: Callable[[str], Iterable[int]], bases: Mapping[str, Iterable[str]]) -> set[int]:
    """All synsets of a word: those that the file lists for it (``own``) and those of its base forms.

    For forms in the list of exceptions (``bases``) only the list counts; for other words the first ending whose base
    form has synsets.
    """
    found = set(own(word))
    if word in bases:
        return found.union(*map(own, bases[word]))
    if word.endswith("ss") or len(word) <= 2:
        return found
    for ending, new in INFLECTIONS:
        if word.endswith(ending):
            more = own(word.removesuffix(ending) + new)
            if more:
                return found.union(more)
    return found
