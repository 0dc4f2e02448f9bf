"""What the memory answers to a text or recalls for a video: the same as a read, in words and seconds."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_read import WIDTH, naive_read, random_bank

from hicm.config import Config, DataConfig, MemoryConfig, RetrievalConfig
from hicm.data.features import write_features
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import write_json
from hicm.memory.bank import Bank, Leaves, Level, load_bank, save_bank
from hicm.retrieval.lookup import search_text, search_video

HASHING = make_encoder("hashing:64")
CAPTIONS = ("cut the bread", "butter the bread", "fry an egg", "fry the bacon", "serve")


class Fixed:
    """An encoder that knows one vector."""

    name, width = "fixed", WIDTH

    def __init__(self, vector: np.ndarray) -> None:
        self.vector = vector

    def encode(self, texts) -> np.ndarray:
        return np.stack([self.vector] * len(texts))


def cooking(embedded: bool = True) -> Bank:
    embeddings = HASHING.encode(CAPTIONS)
    leaves = Leaves(CAPTIONS, embeddings if embedded else None, ("v", "v", "w", "w", "w"), np.asarray([0, 1, 0, 1, 2]))
    texts = ("bread", "fry", "serve")
    first = Level(texts, HASHING.encode(texts), (np.asarray([0, 1]), np.asarray([2, 3]), np.asarray([4])),
                  np.asarray([-1, -1, 4]))
    return Bank((first,), leaves, {"encoder": "hashing:64"})


@pytest.fixture
def folder(tmp_path):
    return save_bank(cooking(), tmp_path / "bank")


def test_a_text_finds_its_captions(folder):
    found = search_text(folder, "fry the bacon", RetrievalConfig(top_k=2), HASHING)
    (window,) = found.windows
    (level,) = window.levels
    assert (level.level, level.nodes, level.kept) == (1, 3, 2) and level.hits[0].text == "fry"
    assert level.hits[0].captions == 2 and level.hits[0].cosine > level.hits[1].cosine
    assert window.captions[0].text == "fry the bacon" and window.captions[0].cosine == pytest.approx(1)
    assert window.captions[0].source == "w #1"
    lines = str(found).splitlines()
    assert lines[0].startswith("fry the bacon   in ") and lines[0].endswith("descend, best 2 per level")
    assert "level 1: 2 of 3 kept" in lines and any("1.00  fry the bacon  [w #1]" in line for line in lines)


def test_a_way_down_to_the_captions(folder):
    settings = RetrievalConfig(top_k=1, beam=3, levels=[0])
    found = search_text(folder, "fry the bacon", settings, HASHING)
    (window,) = found.windows
    first, captions = window.levels
    assert (first.level, first.kept) == (1, 3) and (captions.level, captions.nodes, captions.kept) == (0, 5, 1)
    assert captions.hits[0].text == "fry the bacon" and captions.hits[0].source == "w #1" and window.captions == ()
    lines = str(found).splitlines()
    assert lines[0].endswith("descend, a beam of 3 kept on the way, best 1 per level read")
    assert "level 1: 3 of 3 kept" in lines and "captions: 1 of 5 kept" in lines


@given(st.integers(0, 2**31), st.sampled_from(["descend", "flat"]), st.sampled_from(["top-k", "max", "similarity"]),
       st.integers(0, 3))
@settings(max_examples=25)
def test_a_text_is_read_like_a_frame(tmp_path_factory, seed, search, rule, flat_level):
    """Against the loops of naive_read.py."""
    rng = np.random.default_rng(seed)
    bank = dataclasses.replace(random_bank(rng, exact=False), info={"encoder": "fixed"})
    query = rng.standard_normal(WIDTH).astype(np.float32)
    retrieval = RetrievalConfig(search=search, select=rule, top_k=3, threshold=0.2, flat_level=flat_level, windows=7)
    folder = save_bank(bank, tmp_path_factory.mktemp("search"))
    (window,) = search_text(folder, "x", retrieval, Fixed(query), nodes=100).windows
    _, kept = naive_read(bank, query, None, retrieval)
    for level in window.levels:
        expected = kept.get(level.level, [])
        assert [hit.node for hit in level.hits] == [node for node, _, _ in expected]
        np.testing.assert_allclose([hit.cosine for hit in level.hits], [score for _, score, _ in expected], atol=1e-5)
    finest = min(level.level for level in window.levels)
    under = [leaf for node, _, _ in kept.get(finest, []) for leaf in (bank.leaves_of(finest, node) if finest else [])]
    assert sorted(hit.node for hit in window.captions) == sorted(under)
    cosines = [hit.cosine for hit in window.captions]
    assert cosines == sorted(cosines, reverse=True)


def test_a_bank_that_knows_less_still_answers(tmp_path):
    texts = save_bank(cooking(embedded=False), tmp_path / "texts")
    (window,) = search_text(texts, "fry", RetrievalConfig(top_k=1), HASHING).windows
    assert [(hit.text, hit.cosine) for hit in window.captions] == [("fry an egg", None), ("fry the bacon", None)]
    first = dataclasses.replace(cooking().levels[0], children=(np.zeros(0, np.int64),) * 3, authors=np.full(3, -1))
    bare = save_bank(Bank((first,), None, {"encoder": "hashing:64"}), tmp_path / "bare")
    found = search_text(bare, "fry", RetrievalConfig(top_k=1), HASHING)
    assert found.windows[0].captions == () and found.windows[0].levels[0].hits[0].captions is None
    assert str(found).splitlines()[-1].split() == ["1.00", "1.1", "fry"]


def test_nothing_near_enough_is_said(folder):
    found = search_text(folder, "zebra", RetrievalConfig(select="similarity", threshold=0.99), HASHING)
    assert "level 1: 0 of 3 kept (nothing near enough)" in str(found) and found.windows[0].captions == ()
    json.dumps(found.to_json())


def test_a_text_that_cannot_be_answered(folder, tmp_path):
    def expect(message: str, text: str = "fry", encoder=HASHING, bank=folder, **retrieval) -> None:
        with pytest.raises(UserError, match=message):
            search_text(bank, text, RetrievalConfig(**retrieval), encoder)

    expect("the text to search for is blank", "  ")
    expect("its embeddings is hashing:64, that of the text hashing:8", encoder=make_encoder("hashing:8"))
    unknown = save_bank(dataclasses.replace(cooking(), info={}), tmp_path / "unknown")
    expect("its embeddings is unknown, .*import the bank again naming its encoder", bank=unknown)
    for search in ("none", "zero", "random"):
        expect(f"retrieval.search={search} does not look into the memory", search=search)
    expect("memory bank not found", bank=tmp_path / "nowhere")


FRAMES, WINDOWS = 12, 4


@pytest.fixture
def config(tmp_path, folder) -> Config:
    """Frames that say one caption a stretch: of 24 s, of 6 s (padded), and of a video that no split knows."""
    def frames(*rows: int) -> np.ndarray:
        return HASHING.encode([CAPTIONS[row] for row in rows])

    write_features(tmp_path / "features.h5", {"v": frames(*np.repeat([0, 2, 3, 4], 6)), "short": frames(*[2] * 6),
                                              "stray": frames(*[1] * 12)})
    sentences = {"timestamps": [[0, 1]], "sentences": ["x"]}
    train = write_json(tmp_path / "train.json", {"v": {"duration": 23.5, **sentences}})
    val = write_json(tmp_path / "val.json", {"short": {"duration": 6.2, **sentences}})
    data = DataConfig(name="made_up", annotations={"train": [str(train)], "val": [str(val)], "test": ["missing.json"]},
                      features=str(tmp_path / "features.h5"), frames=FRAMES)
    return Config(data=data, memory=MemoryConfig(path=str(folder)), retrieval=RetrievalConfig(windows=WINDOWS, top_k=2))


def times(found) -> list[tuple[float, float]]:
    return [(window.start, window.end) for window in found.windows]


def test_a_video_recalls_by_window(config):
    found = search_video(config, "v")
    assert times(found) == [(0, 6), (6, 12), (12, 18), (18, 23.5)], "every second frame of 24, ended by its annotation"
    assert [window.levels[0].hits[0].text for window in found.windows] == ["bread", "fry", "fry", "serve"]
    assert "0:18.0 - 0:23.5" in str(found).splitlines()
    content = json.loads(json.dumps(found.to_json()))
    assert content["windows"][3]["levels"][0]["hits"][0]["cosine"] == pytest.approx(1)


def test_padding_is_no_window_and_a_stray_video_ends_with_its_frames(config):
    assert times(search_video(config, "short")) == [(0, 3), (3, 6)]
    assert times(search_video(config, "v_stray")) == [(0, 3), (3, 6), (6, 9), (9, 12)]
    attended = dataclasses.replace(config, retrieval=dataclasses.replace(config.retrieval, mask_padding=False))
    assert times(search_video(attended, "short")) == [(0, 3), (3, 6), (6, 6), (6, 6)], "padding is read too"
    slow = dataclasses.replace(config, data=dataclasses.replace(config.data, feature_fps=0.5))
    assert times(search_video(slow, "stray")) == [(0, 6), (6, 12), (12, 18), (18, 24)], "a row every two seconds"
    fast = dataclasses.replace(config, data=dataclasses.replace(config.data, feature_fps=2.0))
    assert times(search_video(fast, "stray")) == [(0, 3), (3, 6)]
    every = dataclasses.replace(config, data=dataclasses.replace(config.data, feature_fps=2.0, feature_rows="all"))
    assert times(search_video(every, "stray")) == [(0, 1.5), (1.5, 3), (3, 4.5), (4.5, 6)], "two rows a second"
    spread = dataclasses.replace(config, data=dataclasses.replace(config.data, feature_rows="spread"))
    with pytest.raises(UserError, match=r"data\.feature_rows=spread: this needs rows that last equally long"):
        search_video(spread, "stray")


def test_windows_that_follow_the_picture(config):
    """Stretches of 2, 10, 8 and 4 s; thinned to every second frame."""
    rows = HASHING.encode([CAPTIONS[row] for row in np.repeat([0, 2, 3, 4], [2, 10, 8, 4])])
    write_features(config.data.features, {"v": rows, "short": rows[:3]})
    ward = dataclasses.replace(config, retrieval=dataclasses.replace(config.retrieval, window_shape="ward"))
    found = search_video(ward, "v")
    assert times(found) == [(0, 2), (2, 12), (12, 20), (20, 23.5)]
    assert [window.levels[0].hits[0].text for window in found.windows] == ["bread", "fry", "fry", "serve"]
    assert times(search_video(ward, "short")) == [(0, 1), (1, 2), (2, 3)], "three frames make three windows"


def test_in_training_a_video_reads_others_in_place_of_its_own(config):
    assert search_video(config, "v").windows[0].levels[0].hits[0].replaced == ""
    bank = load_bank(config.bank)
    mixed = dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, videos=("v", "u", "w", "w", "w")))
    save_bank(mixed, config.bank)
    hit = search_video(config, "v", training=True).windows[0].levels[0].hits[0]
    assert (hit.text, hit.replaced, hit.source) == ("butter the bread", "bread", "u #1")
    assert "butter the bread  [u #1]  instead of: bread" in str(search_video(config, "v", training=True))
    allowed = dataclasses.replace(config, retrieval=dataclasses.replace(config.retrieval, leave_own_out=False))
    assert search_video(allowed, "v", training=True).windows[0].levels[0].hits[0].text == "bread"


def test_few_of_many_are_listed(config):
    window = search_video(config, "v", nodes=1).windows[0]
    assert window.levels[0].kept == 2 and len(window.levels[0].hits) == 1


def test_a_video_that_cannot_be_searched_for(config):
    with pytest.raises(UserError, match="no features for video unknown"):
        search_video(config, "unknown")
    with pytest.raises(UserError, match="search=zero does not look"):
        search_video(dataclasses.replace(config, retrieval=RetrievalConfig(search="zero")), "v")
    narrow = {"v": np.ones((4, 3), np.float32)}
    write_features(config.data.features, narrow)
    with pytest.raises(UserError, match="features are 3 wide and the memory bank 64"):
        search_video(config, "v")


@pytest.mark.filterwarnings("ignore:retrieval.search=top_only")
@pytest.mark.parametrize("search", ["descend", "top_only", "flat", "random"])
def test_every_search_can_be_shown(config, search):
    found = search_video(dataclasses.replace(config, retrieval=RetrievalConfig(search=search, windows=2)), "v")
    assert len(found.windows) == 2 and all(window.levels[0].kept for window in found.windows)
