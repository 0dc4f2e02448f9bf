"""Banks of published code: read as they are, refused where they are broken, never run."""

import os
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import write_json
from hicm.memory.bank import bank_hash, load_bank
from hicm.memory.imports import import_bank
from hicm.memory.show import show_memory
from hicm.memory.stats import bank_stats

CAPTIONS = ["cut the bread", "butter it", "fry an egg", "flip it", "serve", "butter it"]
HASHING = make_encoder("hashing:16")


def cluster(summary: str, indices: list[int] | None, sentences: list[str], children: list[int] | None = None,
            flat: bool = False) -> dict:
    embedding = HASHING.encode([summary]).astype(np.float16)
    return {"indices": indices, "sentences": sentences, "summary": summary,
            "clip_embedding": embedding[0] if flat else embedding, "parent_clusters": children}


@pytest.fixture
def released() -> dict:
    """Six captions, three clusters, two above them; keys out of order, as a dict may be."""
    def leaves(*indices: int) -> tuple[list[int], list[str]]:
        return list(indices), [CAPTIONS[index] for index in indices]

    return {"level_2": {"cluster_1": cluster("frying", [2, 3, 4], ["fry an egg", "serve it"], [1, 2]),
                        "cluster_0": cluster("bread", [0, 1, 5], ["buttered bread"], [0], flat=True)},
            "level_1": {"cluster_0": cluster("buttered bread", *leaves(5, 0, 1)),
                        "cluster_2": cluster("serve it", *leaves(4)),
                        "cluster_1": cluster("fry an egg", *leaves(3, 2))}}


@pytest.fixture
def annotations(tmp_path) -> str:
    """The captions as annotations: two videos of three."""
    return str(write_json(tmp_path / "train.json", {
        video: {"duration": 9.0, "timestamps": [[0, 1]] * 3, "sentences": CAPTIONS[start:start + 3]}
        for video, start in (("v_one", 0), ("v_two", 3))}))


def write(tmp_path, content, name: str = "hierarchical_clustering_results_x.pkl"):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(content))
    return path


def test_a_released_bank_is_read_as_it_is(released, tmp_path):
    path = write(tmp_path, released)
    assert import_bank(path, tmp_path / "bank", encoder="openclip:ViT-L-14/openai") == tmp_path / "bank"
    bank = load_bank(tmp_path / "bank")
    first, top = bank.levels
    assert bank.leaves.texts == tuple(CAPTIONS)
    assert bank.leaves.embeddings is None and set(bank.leaves.videos) == {""}
    assert bank.leaves.sentences.tolist() == [0, 1, 2, 3, 4, 5]
    assert first.texts == ("buttered bread", "fry an egg", "serve it") and top.texts == ("bread", "frying")
    assert [ids.tolist() for ids in first.children] == [[5, 0, 1], [3, 2], [4]]
    assert [ids.tolist() for ids in top.children] == [[0], [1, 2]]
    assert first.authors.tolist() == [-1, -1, -1], "even where a summary is some caption word for word"
    for level in bank.levels:
        assert level.embeddings.dtype == np.float16
        assert np.array_equal(level.embeddings, HASHING.encode(level.texts).astype(np.float16))
    assert bank.info["encoder"] == "openclip:ViT-L-14/openai" and bank.info["summariser"] == "imported"
    assert bank.info["sources"] == [path.name] and len(bank.info["imported"]["sha256"]) == 64


def test_an_imported_bank_is_shown(released, tmp_path):
    """Its captions by their index, its summaries, line breaks and all, on a line each."""
    released["level_2"]["cluster_0"]["summary"] = "Here it is:\n\nbread \n"
    shown = show_memory(import_bank(write(tmp_path, released), tmp_path / "bank"), depth=3).splitlines()
    assert "captions        6 of unknown videos" in shown
    assert "2.0  (3)  Here it is: bread" in shown and "    - butter it  [#5]" in shown


def test_annotations_name_the_videos(released, annotations, tmp_path):
    bank = load_bank(import_bank(write(tmp_path, released), tmp_path / "bank", annotations=[annotations]))
    assert bank.leaves.videos == ("v_one",) * 3 + ("v_two",) * 3
    assert bank.leaves.sentences.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.filterwarnings("ignore:.*the indices disagree")
def test_annotations_that_do_not_fit_are_named(released, annotations, tmp_path):
    def expect(message: str) -> None:
        with pytest.raises(UserError, match=message):
            import_bank(write(tmp_path, released), tmp_path / "bank", annotations=[annotations])

    sentences = released["level_1"]["cluster_1"]["sentences"]
    sentences[0] = "flop it"
    expect(r"sentence 3 is 'flop it', but caption 3 of train.json \(video v_two, sentence 0\) is 'flip it'")
    sentences[0] = " flip it"  # blanks around a sentence are no difference
    import_bank(write(tmp_path, released), tmp_path / "bank", annotations=[annotations])
    released["level_1"]["cluster_2"].update(indices=[6])
    expect("has a sentence 6 .'serve'., but train.json has only 6 captions")
    released["level_1"]["cluster_0"].update(indices=[0, 1], sentences=CAPTIONS[:2])
    released["level_1"]["cluster_2"].update(indices=[4], sentences=["serve"])
    expect("ends with sentence 4, but train.json has 6 captions")
    for entry in released["level_1"].values():
        entry["indices"] = None
    expect("no sentence indices to compare")


@pytest.mark.filterwarnings("ignore:.*the indices disagree")
def test_an_index_may_be_missing(released, tmp_path):
    """A sentence that failed and was skipped: the others keep their indices."""
    released["level_1"]["cluster_0"].update(indices=[0, 1], sentences=CAPTIONS[:2])
    released["level_1"]["cluster_2"].update(indices=[9])
    bank = load_bank(import_bank(write(tmp_path, released), tmp_path / "bank"))
    assert bank.leaves.sentences.tolist() == [0, 1, 2, 3, 9] and bank.leaves.texts == tuple(CAPTIONS[:5])
    assert [ids.tolist() for ids in bank.levels[0].children] == [[0, 1], [3, 2], [4]]


def test_without_indices_there_are_no_captions(released, tmp_path):
    for entry in released["level_1"].values():
        del entry["indices"]
    folder = import_bank(write(tmp_path, released), tmp_path / "bank")
    bank = load_bank(folder)
    assert bank.leaves is None and [ids.tolist() for ids in bank.levels[1].children] == [[0], [1, 2]]
    assert "level 1" in show_memory(folder) and "not stored" in str(bank_stats(folder))


def test_ids_with_gaps_keep_their_order(released, tmp_path):
    names = {"cluster_0": "cluster_7", "cluster_1": "cluster_10", "cluster_2": "cluster_30"}
    released["level_1"] = {names[key]: entry for key, entry in released["level_1"].items()}
    released["level_2"]["cluster_0"]["parent_clusters"] = np.asarray([7])
    released["level_2"]["cluster_1"]["parent_clusters"] = (30, np.int64(10))
    bank = load_bank(import_bank(write(tmp_path, released), tmp_path / "bank"))
    assert bank.levels[0].texts == ("buttered bread", "fry an egg", "serve it")
    assert [ids.tolist() for ids in bank.levels[1].children] == [[0], [2, 1]]


def test_children_follow_from_the_indices(released, tmp_path):
    for entry in released["level_2"].values():
        entry["parent_clusters"] = None
    bank = load_bank(import_bank(write(tmp_path, released), tmp_path / "bank"))
    assert [ids.tolist() for ids in bank.levels[1].children] == [[0], [1, 2]]


def test_indices_that_contradict_the_children_are_told(released, tmp_path):
    released["level_2"]["cluster_0"]["indices"] = [0, 1]
    released["level_2"]["cluster_1"]["indices"] = [2, 3, 4, 5]
    with pytest.warns(UserWarning, match="level_2, cluster_0: the indices disagree with the children"):
        folder = import_bank(write(tmp_path, released), tmp_path / "bank")
    assert load_bank(folder).leaves_of(2, 0).tolist() == [0, 1, 5]


def test_float16_can_be_widened(released, tmp_path):
    path = write(tmp_path, released)
    narrow, wide = (load_bank(import_bank(path, tmp_path / str(widen), widen=widen)) for widen in (False, True))
    for left, right in zip(narrow.levels, wide.levels, strict=True):
        assert right.embeddings.dtype == np.float32 and np.array_equal(left.embeddings, right.embeddings)
    released["level_2"]["cluster_0"]["clip_embedding"] = np.ones(16)
    bank = load_bank(import_bank(write(tmp_path, released), tmp_path / "mixed"))
    assert {level.embeddings.dtype for level in bank.levels} == {np.dtype(np.float32)}


def test_captions_can_be_embedded(released, annotations, tmp_path):
    path, known = write(tmp_path, released), [annotations]
    with pytest.raises(UserError, match="needs their videos; give the annotations"):
        import_bank(path, tmp_path / "bank", captions_by=HASHING)
    bank = load_bank(import_bank(path, tmp_path / "bank", annotations=known, captions_by=HASHING))
    assert np.array_equal(bank.leaves.embeddings, HASHING.encode(CAPTIONS)) and bank.info["encoder"] == "hashing:16"
    with pytest.raises(UserError, match=r"made by openclip:x, .*by hashing:16"):
        import_bank(path, tmp_path / "other", "openclip:x", known, captions_by=HASHING)
    with pytest.raises(UserError, match="embeddings are 16 wide, those of hashing:8 8"):
        import_bank(path, tmp_path / "other", annotations=known, captions_by=make_encoder("hashing:8"))
    for entry in (entry for level in released.values() for entry in level.values()):
        entry["clip_embedding"] = entry["clip_embedding"][..., ::-1].copy()
    with pytest.raises(UserError, match=r"embeds the same summaries differently .cosine"):
        import_bank(write(tmp_path, released), tmp_path / "other", annotations=known, captions_by=HASHING)


class Evil:
    def __reduce__(self):
        return os.system, ("touch was_run",)


def test_code_in_a_pickle_is_refused_and_not_run(released, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    released["level_1"]["cluster_0"]["summary"] = Evil()
    with pytest.raises(UserError, match=r"released memory bank refused \(it names posix.system"):
        import_bank(write(tmp_path, released), tmp_path / "bank")
    assert not (tmp_path / "was_run").exists() and not (tmp_path / "bank").exists()


def changed(level: str, cluster: str, **fields):
    return lambda content: content[level][cluster].update(fields)


NAN = np.full((1, 16), np.nan, np.float16)
MALFORMED = [
    (lambda c: c.pop("level_1"), "key 'level_2' among 1 levels; expected level_1 to level_1 without a gap"),
    (lambda c: c.update(level_4=c["level_2"]), "key 'level_4' among 3 levels"),
    (lambda c: c.update(info="x"), "key 'info' among 3 levels"),
    (lambda c: c.clear(), "found dict; is it a hierarchical_clustering"),
    (lambda c: c.update(level_2={}), "level_2: expected .* with at least one cluster"),
    (lambda c: c.update(level_2=[1]), "level_2: expected .*found list"),
    (lambda c: c["level_2"].update(other={}), "level_2: key 'other' does not end in a number"),
    (lambda c: c["level_2"].update({"cluster_" + "9" * 5000: {}}), "does not end in a number"),
    (lambda c: c["level_2"].update(cluster_01={}), "level_2, cluster_01: id 1 occurs twice"),
    (lambda c: c["level_2"].update(cluster_2=None), "level_2, cluster_2: expected .*found NoneType"),
    (changed("level_1", "cluster_1", summary=None), "level_1, cluster_1: summary: expected text, found NoneType"),
    (changed("level_1", "cluster_1", summary="\ud800"), "level_1, cluster_1: summary: not valid Unicode text"),
    (changed("level_1", "cluster_1", clip_embedding=None), "level_1, cluster_1: clip_embedding: .*found NoneType"),
    (changed("level_1", "cluster_1", clip_embedding=np.ones((2, 8))), r"cluster_1: clip_embedding: .*\[2, 8\] of"),
    (changed("level_1", "cluster_1", clip_embedding=np.asarray(["a"])), "cluster_1: clip_embedding: .*of <U1"),
    (changed("level_1", "cluster_1", clip_embedding=np.float32(1)), "cluster_1: clip_embedding: .*found float32"),
    (changed("level_1", "cluster_1", clip_embedding=np.ones(15)), "level_1, cluster_1: clip_embedding is 15 wide"),
    (lambda c: [e.update(clip_embedding=np.ones(9)) for e in c["level_2"].values()], "level_2: clip_embedding is 9"),
    (changed("level_1", "cluster_1", clip_embedding=NAN), "level_1, cluster_1: clip_embedding is not finite"),
    (changed("level_1", "cluster_1", clip_embedding=np.full(16, 1e300)), "cluster_1: clip_embedding is not finite"),
    (changed("level_1", "cluster_1", indices=None), "level_1, cluster_1: no indices, though other clusters have"),
    (changed("level_1", "cluster_1", indices=[3]), "level_1, cluster_1: 2 sentences but 1 indices"),
    (changed("level_1", "cluster_1", indices=[3, 5]), "level_1, cluster_1: sentence index 5 is already in cluster_0"),
    (changed("level_1", "cluster_1", indices=[3, -2]), "level_1, cluster_1: sentence index -2"),
    (changed("level_1", "cluster_1", indices=["3", "2"]), "level_1, cluster_1: indices: expected a list of whole"),
    (changed("level_1", "cluster_1", indices=[[3], [2, 1]]), "level_1, cluster_1: indices: expected a list of whole"),
    (changed("level_1", "cluster_1", indices=3), "level_1, cluster_1: indices: expected a list of whole numbers"),
    (changed("level_1", "cluster_1", sentences=None), "level_1, cluster_1: sentences: expected a list of texts"),
    (changed("level_1", "cluster_1", sentences=["a", 1]), r"cluster_1: sentences\[1\]: expected text, found int"),
    (changed("level_2", "cluster_1", parent_clusters=[1, 3]), "level_2, cluster_1: child 3 does not exist"),
    (changed("level_2", "cluster_1", parent_clusters=[1, 2, 0]), "cluster_1: child 0 is also a child of cluster_0"),
    (changed("level_2", "cluster_1", parent_clusters=[1, 1]), "cluster_1: child 1 is also a child of cluster_1"),
    (changed("level_2", "cluster_1", parent_clusters=[1]), "level_1, cluster_2: no cluster of the level above has it"),
    (changed("level_2", "cluster_1", parent_clusters=None, indices=None), "level_2, cluster_1: no children"),
    (changed("level_2", "cluster_1", parent_clusters=[1.0, 2.0]), "cluster_1: parent_clusters: expected a list of wh"),
]


@pytest.mark.parametrize(("spoil", "message"), MALFORMED)
def test_a_malformed_bank_is_one_line(released, tmp_path, spoil, message):
    spoil(released)
    with pytest.raises(UserError, match=message) as caught:
        import_bank(write(tmp_path, released), tmp_path / "bank")
    assert "hierarchical_clustering_results_x.pkl" in str(caught.value) and not (tmp_path / "bank").exists()


@given(st.data())
@settings(max_examples=40)
def test_whatever_stands_in_a_pickle_is_one_line_or_a_bank(tmp_path_factory, data):
    """One field of one cluster replaced by anything plain."""
    value = data.draw(st.recursive(
        st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=3)
        | st.just(np.float16(1)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
        | st.lists(st.floats(width=16), max_size=3).map(np.asarray), max_leaves=4))
    content = {"level_1": {"cluster_0": cluster("a", [0], ["x"]), "cluster_1": cluster("b", [1], ["y"])},
               "level_2": {"cluster_0": cluster("c", [0, 1], ["a", "b"], [0, 1])}}
    entry = content[data.draw(st.sampled_from(["level_1", "level_2"]))]["cluster_0"]
    entry[data.draw(st.sampled_from(sorted(entry)))] = value
    folder = tmp_path_factory.mktemp("pickle")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*the indices disagree")
        try:
            import_bank(write(folder, content), folder / "bank")
        except UserError as error:
            assert "level_" in str(error)
        else:
            assert load_bank(folder / "bank").depth == 2


def test_an_import_is_kept_and_another_bank_not_replaced(released, tmp_path):
    path, out = write(tmp_path, released), tmp_path / "bank"
    import_bank(path, out)
    stamp = (out / "bank.json").stat().st_mtime_ns
    assert import_bank(path, out) == out and (out / "bank.json").stat().st_mtime_ns == stamp
    with pytest.raises(UserError, match=r"holds another memory bank; .*--overwrite"):
        import_bank(path, out, widen=True)
    before = bank_hash(out)
    import_bank(path, out, widen=True, overwrite=True)
    assert bank_hash(out) != before


@pytest.fixture
def flat(tmp_path):
    """A CM2 bank of the captions."""
    folder = tmp_path / "clip"
    folder.mkdir()
    embeddings = HASHING.encode(CAPTIONS).astype(np.float16)
    np.save(folder / "yc2_clip_token_embeds.npy", embeddings[:, None])
    np.save(folder / "yc2_scene_sentences.npy", np.asarray(CAPTIONS))
    np.save(folder / "yc2_scene_videoID.npy", np.asarray(["one", "two"] * 3))
    return folder


@pytest.mark.parametrize("name", ["", "yc2_clip_token_embeds.npy"])
def test_a_flat_bank_becomes_one_level(flat, tmp_path, name):
    bank = load_bank(import_bank(flat / name, tmp_path / "bank", encoder="e"))
    assert bank.depth == 1 and bank.levels[0].texts == bank.leaves.texts == tuple(CAPTIONS)
    assert bank.leaves.videos == ("one", "two") * 3 and bank.leaves.sentences.tolist() == [0, 0, 1, 1, 2, 2]
    assert bank.levels[0].authors.tolist() == [int(ids[0]) for ids in bank.levels[0].children] == list(range(6))
    expected = HASHING.encode(CAPTIONS).astype(np.float16)
    assert np.array_equal(bank.leaves.embeddings, expected) and np.array_equal(bank.levels[0].embeddings, expected)
    assert bank.info["sources"] == ["yc2_clip_token_embeds.npy"] and len(bank.info["imported"]["with"]) == 2


def test_annotations_number_a_flat_bank(flat, annotations, tmp_path):
    bank = load_bank(import_bank(flat, tmp_path / "bank", annotations=[annotations]))
    assert bank.leaves.videos[3] == "v_two" and bank.leaves.sentences.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_broken_flat_bank_is_one_line(flat, tmp_path):
    def expect(message: str) -> None:
        with pytest.raises(UserError, match=message):
            import_bank(flat, tmp_path / "bank")

    embeddings, sentences, videos = (flat / f"yc2_{name}.npy" for name in ("clip_token_embeds", "scene_sentences",
                                                                           "scene_videoID"))
    good = np.load(embeddings)
    np.save(embeddings, np.full_like(good, np.inf))
    expect("yc2_clip_token_embeds.npy: row 0 is not finite")
    np.save(embeddings, good[:5])
    expect(r"yc2_scene_sentences.npy: shape \[6\], expected \[5\] as in yc2_clip_token_embeds.npy")
    np.save(embeddings, np.ones((6, 2, 4)))
    expect(r"expected \[N, 1, D\] or \[N, D\] with at least one row, found \[6, 2, 4\]")
    np.save(embeddings, np.ones((6, 4), int))
    expect("expected an array of floats, found int64")
    embeddings.write_bytes(b"")
    expect("expected an array of floats")
    np.save(embeddings, good)
    np.save(sentences, np.asarray([Evil()] * 6, object), allow_pickle=True)
    expect("yc2_scene_sentences.npy: expected an array of unicode text .*allow_pickle")
    np.save(sentences, np.asarray(["\ud800"] * 6))
    expect("yc2_scene_sentences.npy: expected an array of unicode text .*surrogates")
    np.save(sentences, np.asarray(CAPTIONS))
    videos.unlink()
    expect("yc2_scene_videoID.npy: part of the CM2 bank not found")
    np.save(flat / "anet_clip_token_embeds.npy", good)
    expect(r"2 files \*_clip_token_embeds.npy; expected one bank per folder")
    for path in flat.iterdir():
        path.unlink()
    expect("0 files")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match=r"nothing.pkl: bank to import not found"):
        import_bank(tmp_path / "nothing.pkl", tmp_path / "bank")
    (tmp_path / "x.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"x.npy: expected <name>_clip_token_embeds.npy"):
        import_bank(tmp_path / "x.npy", tmp_path / "bank")
