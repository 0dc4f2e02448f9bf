"""The Snowball stemmer for English ("Porter 2") of METEOR 1.5: the revision before 2023.

The package snowballstemmer agrees in version 2.2 but not since 3.0, and uses whatever revision of PyStemmer is
installed; NLTK's stemmer differs too.  Only our own code keeps the revision fixed.
"""

UNCHANGED = ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")
WHOLE = {
    "skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "idly": "idl", "gently": "gentl",
    "ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl", **{word: word for word in UNCHANGED},
}
STOP_AFTER_PLURAL = frozenset(["inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"])
VOWELS = frozenset("aeiouy")
NOT_SHORT = VOWELS | frozenset("wxY")
DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")
R1_AT = {"gener": 5, "arsen": 5, "commun": 6}


def _longest_first(table: dict[str, str]) -> list[tuple[str, str]]:
    pairs = [(suffix, new) for suffixes, new in table.items() for suffix in suffixes.split()]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


STEP_2 = _longest_first({
    "tional": "tion", "enci": "ence", "anci": "ance", "abli": "able", "entli": "ent", "izer ization": "ize",
    "ational ation ator": "ate", "alism aliti alli": "al", "fulness": "ful", "ousli ousness": "ous",
    "iveness iviti": "ive", "biliti bli": "ble", "fulli": "ful", "lessli": "less", "ogi": "og", "li": "",
})
STEP_3 = _longest_first({"tional": "tion", "ational": "ate", "alize": "al", "icate iciti ical": "ic",
                         "ful ness ative": ""})
STEP_4 = _longest_first({"al ance ence er ic able ible ant ement ment ent ism ate iti ous ive ize ion": ""})


def stem(word: str) -> str:
    """The stem of a lower-case word.

    >>> [stem(word) for word in ("chopping", "onions", "realization", "skies")]
    ['chop', 'onion', 'realiz', 'sky']
    """
    if word in WHOLE or len(word) < 3:
        return WHOLE.get(word, word)
    word = _mark_consonant_y(word.removeprefix("'"))
    r1 = next((at for start, at in R1_AT.items() if word.startswith(start)), None) or _region(word, 0)
    r2 = _region(word, r1)
    word = _plural(word)
    if word not in STOP_AFTER_PLURAL:
        word = _past(word, r1)
        if len(word) > 2 and word[-1] in "yY" and word[-2] not in VOWELS:
            word = word[:-1] + "i"
        word = _step_2(word, r1)
        word = _step_3(word, r1, r2)
        word = _step_4(word, r2)
        word = _step_5(word, r1, r2)
    return word.replace("Y", "y")


def _mark_consonant_y(word: str) -> str:
    letters = list(word)
    for at, letter in enumerate(letters):
        if letter == "y" and (at == 0 or letters[at - 1] in VOWELS):
            letters[at] = "Y"
    return "".join(letters)


def _region(word: str, start: int) -> int:
    """Start of the region after the first consonant that follows a vowel; the word's end if there is none."""
    for at in range(start + 1, len(word)):
        if word[at] not in VOWELS and word[at - 1] in VOWELS:
            return at + 1
    return len(word)


def _short_syllable(word: str) -> bool:
    """Whether ``word`` ends in one."""
    if len(word) == 2:
        return word[0] in VOWELS and word[1] not in VOWELS
    return len(word) > 2 and word[-3] not in VOWELS and word[-2] in VOWELS and word[-1] not in NOT_SHORT


def _has_vowel(word: str) -> bool:
    return not VOWELS.isdisjoint(word)


def _plural(word: str) -> str:
    """Step 1a."""
    word = next((word.removesuffix(end) for end in ("'s'", "'s", "'") if word.endswith(end)), word)
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith(("us", "ss")):
        return word
    if word.endswith("s") and _has_vowel(word[:-2]):
        return word[:-1]
    return word


def _past(word: str, r1: int) -> str:
    """Step 1b."""
    suffix = next((end for end in ("eedly", "ingly", "edly", "eed", "ing", "ed") if word.endswith(end)), "")
    base = word[:len(word) - len(suffix)]
    if suffix in ("eedly", "eed"):
        return base + "ee" if len(base) >= r1 else word
    if not suffix or not _has_vowel(base):
        return word
    if base.endswith(("at", "bl", "iz")):
        return base + "e"
    if base.endswith(DOUBLES):
        return base[:-1]
    return base + "e" if len(base) == r1 and _short_syllable(base) else base


def _step_2(word: str, r1: int) -> str:
    suffix, new = next(((end, new) for end, new in STEP_2 if word.endswith(end)), ("", ""))
    base = word[:len(word) - len(suffix)]
    if not suffix or len(base) < r1:
        return word
    if (suffix == "ogi" and not base.endswith("l")) or (suffix == "li" and not base.endswith(tuple("cdeghkmnrt"))):
        return word
    return base + new


def _step_3(word: str, r1: int, r2: int) -> str:
    suffix, new = next(((end, new) for end, new in STEP_3 if word.endswith(end)), ("", ""))
    base = word[:len(word) - len(suffix)]
    if not suffix or len(base) < (r2 if suffix == "ative" else r1):
        return word
    return base + new


def _step_4(word: str, r2: int) -> str:
    suffix = next((end for end, _ in STEP_4 if word.endswith(end)), "")
    base = word[:len(word) - len(suffix)]
    if not suffix or len(base) < r2 or (suffix == "ion" and not base.endswith(("s", "t"))):
        return word
    return base


def _step_5(word: str, r1: int, r2: int) -> str:
    base = word[:-1]
    if word.endswith("e") and (len(base) >= r2 or (len(base) >= r1 and not _short_syllable(base))):
        return base
    if word.endswith("l") and len(base) >= r2 and base.endswith("l"):
        return base
    return word
