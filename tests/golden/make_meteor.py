"""Make tests/golden/meteor_made_up.jsonl.gz: pairs of invented captions, scored by the METEOR jar of pycocoevalcap.

Run from the repository root; needs Java.  Prints the score of all pairs together, which the test holds.

    python tests/golden/make_meteor.py
"""

import gzip
import json
import random
from pathlib import Path

import numpy as np

from hicm.dvc_eval.words.meteor import JarMeteor, total

PATH = Path(__file__).parent / "meteor_made_up.jsonl.gz"

# Invented captions have four parts; each part is a list of wordings of about the same thing.
SUBJECTS = [["a man", "the guy", "one man", "the men"], ["a lot of people", "many people", "a crowd of persons"],
            ["two boys", "several kids", "some children", "a child"], ["the woman", "a lady", "women", "she"],
            ["the cook", "a chef", "someone in the kitchen"], ["he", "they", "the old farmer"]]
VERBS = [["cuts", "is cutting", "chops", "slices up", "has cut"], ["mixes", "is mixing", "stirs", "combines", "blends"],
         ["puts", "places", "lays down", "is putting"], ["throws", "is throwing", "tosses", "threw"],
         ["picks up", "lifts", "raises", "takes"], ["washes", "cleaned", "is cleaning", "rinses off"],
         ["shows how to make", "demonstrates the making of", "explains how one makes"],
         ["starts to paint", "begins painting", "started painting"], ["runs past", "ran by", "is running by"]]
OBJECTS = [["the onions", "some scallions", "an onion"], ["a big car", "the large automobile", "cars"],
           ["small pieces of meat", "little bits of beef", "a piece of meat"], ["the dogs", "a dog", "some puppies"],
           ["an egg and flour", "eggs and flour"], ["the wall of the house", "a house's wall", "the walls"],
           ["a wooden fence", "the fence made of wood"], ["a piano", "the keyboard"], ["a child's bike", "bicycles"]]
TAILS = [["", "", ""], ["in the kitchen", "inside the kitchen"], ["outside", "outdoors"],
         ["with a knife", "with knives"],
         ["in a bowl", "into the bowl", "into bowls"], ["very quickly", "fast", "rapidly", "quicker"],
         ["for 20 minutes", "for about twenty minutes"], ["near the market", "close to the market", "by the markets"],
         ["while the others are watching", "while others watch", "as the rest of them look on"],
         ["at the end of the day", "in the end", "finally"], ["in front of a crowd", "before the crowds"],
         ["so that it does not burn", "so it doesn't burn", "in order not to burn it"]]
PARTS = [SUBJECTS, VERBS, OBJECTS, TAILS]
# What the normaliser, the keys and the line protocol find hard.
ODD = [
    ("", ""), ("", "a man is running ."), ("a man is running .", ""), ("running", "runs"), ("dances", "dancing"),
    ("It's the cook's knife, isn't it?", "it 's the cook 's knife , is n't it ?"),
    ("add 1,000.50 g (approx.) of sugar...", "Add 1000.50 g of sugar ...."),
    ("The U.S.-based team, e.g. Mr. Smith No. 5", "the us based team e.g. mr. smith no. 5"),
    ("naïve café – “hello”", "naive café - \"hello\""), ("5's and 10's", "5 's and 10s"),
    ("we do not have confidence", "we cannot entrust"), ("put all of it in", "put an. of it in"),
    ("she will win. they will win.", "she win. they will"), ("bowl", "boy."), ("55 and 90s", "3s and 925"),
    ("rock'n'roll 'til dawn", "rock 'n' roll until dawn"), ("a-b-c d--e f - g", "a b c d e f g"),
    ("wait.... what?!", "wait . . what ? !"), ("DOTMULTI is DOTDOTMULTI.", "dotmulti . is dotdotmulti"),
    ("No. 7, pp. 3 and Art. six.", "no . 7 , pp. 3 and art . six ."), ("''quoted'' ``text''", "\"quoted\" 'text'"),
    ("x,y 1,2 3,z w,4", "x , y 1,2 3 , z w , 4"), ("Привет, мир", "привет , мир"),
    ("ΣΑΣ İstanbul ß", "σας istanbul ss"), ("smile 😀 now", "smile now 😀"),
    ("tab\tand\x0bvertical\u00a0hard", "tab and vertical hard"),
    ("50% of $5 & more", "50 % of $ 5 and more"), ("#tag @name http://a.b/c-d", "tag name http a.b c d"),
    ("a|||b", "ab"), ("cut it", "a kite flies|||cut it|||cut it now"), ("a  b   c", "a b c"), ("|||", "|||"),
    ("a " * 60, "a " * 45), ("the man the man the man", "man the man the"),
    ("in two men the men two", "two men in the men"),
    ("skis skies dying gently early", "ski sky die gentle earlier"), ("news bias andes", "new biased and"),
    ("generously communication arsenal", "generous communicate arsenic"), ("women children oxen", "woman child ox"),
    ("knives wolves boxes churches", "knife wolf box church"), ("went saw ate took", "go see eat take"),
]


def meaning(pick: random.Random) -> list[list[str]]:
    """What a caption says: the wordings of each of its parts."""
    return [pick.choice(part) for part in PARTS]


def worded(said: list[list[str]], pick: random.Random) -> str:
    """One caption that says it."""
    return " ".join(filter(None, map(pick.choice, said)))


def caption(pick: random.Random) -> str:
    """Any caption."""
    return worded(meaning(pick), pick)


def changed(text: str, pick: random.Random) -> str:
    """The caption with some words dropped, doubled, moved or ended otherwise."""
    words = text.split()
    for _ in range(pick.randint(1, 4)):
        at, other = pick.randrange(len(words)), pick.randrange(len(words))
        if pick.random() < 0.3:
            words[at], words[other] = words[other], words[at]
        elif pick.random() < 0.4:
            words.insert(other, words[at])
        elif pick.random() < 0.5 and len(words) > 2:
            del words[at]
        else:
            words[at] += pick.choice(["s", "ing", "ed", "er", "ly", "'s", ",", ".", "ies", "est"])
    return " ".join(words)


def pairs() -> list[tuple[str, str, str]]:
    """(candidate, reference, kind), always the same."""
    pick = random.Random(15)
    made = [(one, two, "odd") for one, two in ODD]
    made += [(caption(pick), caption(pick), "sentences") for _ in range(40)]
    for _ in range(100):
        said = meaning(pick)
        made.append((worded(said, pick), worded(said, pick), "reworded"))
    for _ in range(60):
        text = caption(pick)
        made.append((text, changed(text, pick), "changed"))
    for _ in range(20):
        text = caption(pick)
        made.append((f"{text.capitalize()}.", text, "case"))
    for length in (2, 5, 12) * 5:
        both = [". ".join(caption(pick) for _ in range(length)) + "." for _ in range(2)]
        made.append((both[0], both[1], "stories"))
    vocabulary = sorted({word for part in PARTS for wordings in part for text in wordings for word in text.split()})
    for _ in range(60):
        words = pick.sample(vocabulary, pick.randint(2, 6))
        both = [" ".join(pick.choice(words) for _ in range(pick.randint(1, 25))) for _ in range(2)]
        made.append((both[0], both[1], "few words"))
    return made


def main() -> None:
    """Score all pairs and write them."""
    made = pairs()
    with JarMeteor() as meteor:
        statistics = meteor.statistics([(candidate, reference) for candidate, reference, _ in made])
        scores = meteor.score(statistics)
        together = meteor.score(total(statistics, np.zeros(len(made), dtype=np.int64), 1))[0]
    lines = [json.dumps({"candidate": candidate, "reference": reference,
                         "stats": " ".join(f"{number:.1f}" for number in row), "score": score, "kind": kind})
             for (candidate, reference, kind), row, score in zip(made, statistics, scores.tolist(), strict=True)]
    PATH.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    print(f"{len(made)} pairs, together {float(together)!r}")


if __name__ == "__main__":
    main()
