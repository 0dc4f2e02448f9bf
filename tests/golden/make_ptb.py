"""Make ptb_made_up.json.gz: odd captions, made up, with the tokens of CoreNLP 3.4.1.  Needs Java and pycocoevalcap.

    python -m tests.golden.make_ptb
"""

import gzip
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from hicm.dvc_eval.words.tokenise import JarTokeniser
from hicm.files import atomic

COUNT, SEED = 1500, 3441
PATH = Path(__file__).with_name("ptb_made_up.json.gz")

_WORDS = """
    a A the The man cut add Add onions dog I i x T it he and She What Then don't can't won't ain't cannot Cannot GOTTA
    gonna wanna lemme gimme o'clock O'Brien d'ye y'all c'mon ma'am rock'n'roll 'n' 'tis 'twas 'em 'cause 'til 's 're n't
    should've I'd've Smith's dogs' James's u.s. U.S. U.S.A. e.g. i.e. a.m. P.M. Ph.D. Q&A AT&T R&B salt&pepper US$ $5
    $5.00 50% www.foo.com foo.com/menu http://x.yz/q?a=b https://ab.cd foo@bar.com @home #tag #1 C# c++ well-known
    t-shirt state-of-the-art half-and-half and/or w/ w/o he/she 24/7 1st 5th 1990s 1990's '90s '90 9x13 350F 1.5kg 12:30
    10:00am 10am 1/2 3/4 1-1/2 1/2-inch 2-3 3.5 .5 1,000,000 555-1234 (555) 123-4567 <b> </b> <br/> <unk> <3 :) :-( ;)
    =) :D ^_^ -_- (^_^) foo.mp4 1.jpg img_001.jpg abc123!@# hello!world li'l ol' s'mores nor'easter pro- anti- d'Arcy
    non-U.S. U.S.-based café piñata jalapeño crème-brûlée
"""
_ABBREVIATED = "mr dr st vs etc inc jan approx no nos fig ca pp tsp lb oz vol col ave mass miss pa ph.d assoc pte"
_STARTERS = "the The THE A I In What And however However it's"
_NOUNS = "man woman dog onions pan camera ball bowl salt water"
WORDS, ABBREVIATED, STARTERS, NOUNS = (text.split() for text in (_WORDS, _ABBREVIATED, _STARTERS, _NOUNS))
SIGNS = [*"""!"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~""", "..", "...", "--", "----", "''", "``", "!!", "?!", ", ", ". "]
FOREIGN = [*"éñÜß’‘“”–—…°£€½•™×²\u00a0"]
JOINTS = ["", " ", " ", " ", "  ", "\t", "-", "/", ".", ",", "'"]


def _cased(word: str, dice: random.Random) -> str:
    return dice.choice([word] * 8 + [word.upper(), word.capitalize(), word.title()])


def _mixture(dice: random.Random) -> str:
    """Words, abbreviations, numbers and signs in a row."""
    pieces = []
    for _ in range(dice.randint(1, 8)):
        kind = dice.random()
        if kind < 0.55:
            piece = dice.choice(WORDS)
        elif kind < 0.7:
            piece = dice.choice(ABBREVIATED) + "."
        elif kind < 0.85:
            piece = str(dice.choice([1, 2, 12, 90, 100, 555, 1234, 100000]))
        else:
            piece = dice.choice(SIGNS)
        pieces += [_cased(piece, dice), dice.choice(JOINTS)]
    return "".join(pieces)


def _soup(alphabets: list[list[str]], longest: int) -> Callable[[random.Random], str]:
    """Random strings over one of the alphabets."""
    def make(dice: random.Random) -> str:
        alphabet = dice.choice(alphabets)
        return "".join(dice.choice(alphabet) for _ in range(dice.randint(2, longest)))
    return make


def _abbreviation(dice: random.Random) -> str:
    """An abbreviation between things that decide about its full stop."""
    before = dice.choice(["", "", "(", '"', "a-", "1-", "A.", "x "])
    word = _cased(dice.choice([*ABBREVIATED, *"aTI"]), dice)
    after = dice.choice(["", " ", ",", ";", ")", "x", "xy", "-x", "'s", "5", " 5", "..", '"', "/", " <b> ", "@"])
    return f"{before}{word}.{after}{dice.choice(['', ' '])}{dice.choice(['', *STARTERS])}{dice.choice(['', ' x'])}"


def _sentence(dice: random.Random) -> str:
    """A plain sentence with a few characters put in."""
    parts = [["A", "the", " The"], NOUNS, ["adds", "cuts", "is shown"], ["1 1/2", "two", "the", "(some)"], NOUNS]
    text = " ".join(dice.choice(part) for part in parts) + dice.choice([".", "", " .", ", etc."])
    for _ in range(dice.randint(0, 4)):
        place = dice.randrange(len(text) + 1)
        text = text[:place] + dice.choice(SIGNS + FOREIGN + WORDS) + text[place:]
    return text


FAMILIES = {
    "mixture": _mixture,
    "sentence": _sentence,
    "abbreviation": _abbreviation,
    "letters": _soup([[*"abAT1.,-'/ "], [*"nt'sd \"`o"], [*"a1!?@#$%&*"], [*"ab_-^=~<>'x"], [*"éaB’n‘td .'"]], 7),
    "apostrophes": _soup([[*"aoOdntsy9'''’` -.,", "ll", "re", "ve", "ba", "don", "em", "til", "90s"]], 9),
    "numbers": _soup([[*"0123456789" * 2, *" -/.,:+()", "555", "1/2", " 1/2", "%", "$", "no. ", "th", "'", "½"]], 12),
    "addresses": _soup([["http://", "https://", "www.", "ab", "Foo", "x1", ".com", ".org", ".uk", ":80", "index.html",
                         *"./-?=&#@~, <)'[|é"]], 9),
    "tags": _soup([["</", "/>", '"x"', "'y z'", "--", "T. ", "The ", "&lt;", "&amp;", *'<>ab  ="!?-1_']], 10),
    "faces": _soup([[*":;=-'o*)(DPpd[]{|@<> a1^_~x."]], 6),
    "anything": _soup([[chr(code) for code in range(32, 127)]], 14),
    "unproven": _soup([["жук", "水", "\u0301", "\x01", "&eacute;", "&#39;", "a", "b ", ".", "'s", "😀", "İ"]], 6),
}


def odd_captions(count: int, seed: int, families: Sequence[str] = tuple(FAMILIES)) -> list[str]:
    """About ``count`` distinct captions, equally many of each family; the same for the same seed."""
    captions = []
    for name in families:
        dice = random.Random(f"{seed} {name}")
        captions += [FAMILIES[name](dice) for _ in range(-(-count // len(families)))]
    return list(dict.fromkeys(captions))


def main() -> Path:
    """Write the golden file and return its path."""
    captions = odd_captions(COUNT, SEED)
    content = {"about": "made-up captions with the tokens of CoreNLP 3.4.1 (lower case, punctuation dropped), each "
                        "caption alone; made by tests/golden/make_ptb.py",
               "captions": list(zip(captions, JarTokeniser().tokenise(captions), strict=True))}
    with atomic(PATH) as part:
        part.write_bytes(gzip.compress(json.dumps(content, indent=0).encode(), mtime=0))
    return PATH


if __name__ == "__main__":
    print(main())
