"""The files of the system moments: classes of words, parts of speech, vectors of words."""

import json
from pathlib import Path

from hicm.systems.moments.tags import load_tags, word_weights
from hicm.systems.moments.vocabulary import load_vocabulary
from hicm.systems.moments.words import make_words
from tests.fuzz.damage import damage_json
from tests.fuzz.reader import Reader

CLASSES = {"words": ["dog</w>", "ä", ""], "ends": True}
TAGS = {"a dog sits": ["DT", "NN", "VBZ"], "": []}
VECTORS = "dog 1 0.5\nä -1e-3 2\n. 0 0\n"


def read_classes(file: Path) -> None:
    load_vocabulary(file).encode(["dog</w>", "cat"])


def read_tags(file: Path) -> None:
    word_weights("a dog sits", ["a", "dog"], load_tags(file), str(file))


def read_vectors(file: Path) -> None:
    assert make_words(f"glove:{file}").width >= 1


MOMENTS_ROOM = {
    "json, classes of words": Reader("x.json", lambda _: [json.dumps(CLASSES).encode()], read_classes, damage_json,
                                     True),
    "json, parts of speech": Reader("x.json", lambda _: [json.dumps(TAGS).encode()], read_tags, damage_json, True),
    "text, word vectors": Reader("x.txt", lambda _: [VECTORS.encode()], read_vectors, slow=True),
}
