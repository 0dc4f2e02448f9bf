"""Encoders, those with models on tiny random models saved in the real formats."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.encoders import make_encoder
from hicm.errors import UserError

TEXTS = ["add salt to the pan", "cut the onion", "add salt to the pan and stir well", ""]
SALT = [-1, -1, 1, -1, 1, -1, -1, -1]


@pytest.mark.parametrize("spec", ["", "hashing", "hashing:", "word2vec:300", "ViT-L-14/openai"])
def test_unknown_specifications(spec):
    with pytest.raises(UserError, match=r"memory\.encoder: .*openclip:<model>/<pretrained>") as refusal:
        make_encoder(spec)
    assert repr(spec) in str(refusal.value)


class TestHashing:
    def test_unit_norm_and_likeness(self):
        encoder = make_encoder("hashing:256")
        rows = encoder.encode(TEXTS)
        assert (rows.shape, rows.dtype, encoder.width, encoder.name) == ((4, 256), np.float32, 256, "hashing:256")
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
        assert rows[0] @ rows[2] > 0.5 > rows[0] @ rows[1]
        assert encoder.encode([]).shape == (0, 256)

    def test_the_vectors_are_fixed(self):
        """A bank built elsewhere must mean the same: the first signs of one word, as first computed."""
        assert np.sign(make_encoder("hashing:8").encode(["salt"])[0]).tolist() == SALT

    def test_case_and_punctuation_do_not_count(self):
        encoder = make_encoder("hashing:64")
        np.testing.assert_array_equal(*encoder.encode(["Add salt.", "add, SALT"]))

    @given(st.text(), st.integers(1, 4))
    def test_any_text_has_a_direction(self, text, width):
        assert np.linalg.norm(make_encoder(f"hashing:{width}").encode([text])) == pytest.approx(1, abs=1e-6)

    @pytest.mark.parametrize("width", ["0", "-3", "wide", "1.5"])
    def test_bad_widths(self, width):
        with pytest.raises(UserError, match="expected a width of 1 or more"):
            make_encoder(f"hashing:{width}")


class TestArray:
    def test_looks_up(self, tmp_path):
        path, rows = tmp_path / "texts.npz", np.arange(8, dtype=np.float64).reshape(4, 2)
        np.savez(path, sentences=np.asarray(["a", "b ", "a", "c"]), embeddings=rows)
        encoder = make_encoder(f"array:{path}")
        np.testing.assert_array_equal(encoder.encode(["c", "a", " b"]), rows[[3, 0, 1]])
        assert (encoder.width, encoder.encode(["a"]).dtype) == (2, np.float32)
        before = encoder.name
        with pytest.raises(UserError, match=r"texts\.npz: no embedding for 'd'"):
            encoder.encode(["a", "d"])
        np.savez(path, sentences=np.asarray(["a"]), embeddings=rows[:1])
        assert make_encoder(f"array:{path}").name != before

    @pytest.mark.parametrize("arrays", [
        {"sentences": np.asarray(["a"])}, {"sentences": np.asarray(["a"]), "embeddings": np.ones((2, 3))},
        {"sentences": np.asarray([1]), "embeddings": np.ones((1, 3))},
        {"sentences": np.asarray(["a"]), "embeddings": np.ones(1)},
        {"sentences": np.asarray(["a"], object), "embeddings": np.ones((1, 3))},
    ])
    def test_other_contents(self, tmp_path, arrays):
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(UserError, match=r"bad\.npz: expected"):
            make_encoder(f"array:{tmp_path / 'bad.npz'}")

    def test_no_or_broken_file(self, tmp_path):
        with pytest.raises(UserError, match="file of sentence embeddings not found"):
            make_encoder(f"array:{tmp_path / 'none.npz'}")
        (tmp_path / "text.npz").write_text("no zip")
        with pytest.raises(UserError, match=r"text\.npz: expected an \.npz file"):
            make_encoder(f"array:{tmp_path / 'text.npz'}")


class TestHuggingFace:
    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        import torch
        from transformers import BertConfig, BertModel, BertTokenizerFast

        folder = tmp_path_factory.mktemp("bert")
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(" ".join(TEXTS).split()))]
        (folder / "vocab.txt").write_text("\n".join(words))
        BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                             intermediate_size=32, max_position_embeddings=12)).save_pretrained(folder)
        return folder

    def test_mean_over_real_tokens(self, folder):
        import torch
        from transformers import AutoModel, AutoTokenizer

        encoder = make_encoder(f"hf:{folder}", offline=True)
        rows = encoder.encode(TEXTS)
        assert (rows.shape, rows.dtype, encoder.width) == ((4, 16), np.float32, 16)
        model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
        for row, text in zip(rows, TEXTS, strict=True):  # alone, so without padding
            with torch.inference_mode():
                mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
            np.testing.assert_allclose(row, mean / mean.norm(), atol=1e-6)

    def test_long_texts_are_cut_to_the_positions(self, folder):
        rows = make_encoder(f"hf:{folder}").encode(["salt " * 100, "salt " * 10])
        np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)

    def test_the_name_knows_the_content(self, folder):
        name = make_encoder(f"hf:{folder}").name
        (folder / "note.txt").write_text("changed")
        assert make_encoder(f"hf:{folder}").name != name
        (folder / "note.txt").unlink()
        assert make_encoder(f"hf:{folder}").name == name

    def test_nothing_there(self, tmp_path):
        with pytest.raises(UserError, match=r"memory\.encoder: hf:.*cannot be loaded \("):
            make_encoder(f"hf:{tmp_path}", offline=True).encode(["a"])
        with pytest.raises(UserError, match=r"hf:nobody/nothing: nobody/nothing is not on this machine \(looked in"):
            make_encoder("hf:nobody/nothing", offline=True).encode(["a"])


CLIP = {"embed_dim": 16, "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}}


class TestOpenClip:
    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        import open_clip
        import torch

        folder = tmp_path_factory.mktemp("clip")
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CLIP, "preprocess_cfg": {}}))
        torch.manual_seed(0)
        torch.save(open_clip.CLIP(**CLIP).state_dict(), folder / "open_clip_pytorch_model.bin")
        return folder

    def expected(self, folder, **changes) -> np.ndarray:
        import open_clip
        import torch

        model = open_clip.CLIP(**CLIP, **changes).eval()
        model.load_state_dict(torch.load(folder / "open_clip_pytorch_model.bin", weights_only=True))
        with torch.inference_mode():
            return model.encode_text(open_clip.tokenize(TEXTS, context_length=12)).numpy()

    def test_projected_and_not_normalised(self, folder):
        encoder = make_encoder(f"openclip:local-dir:{folder}")
        rows = encoder.encode(TEXTS)
        assert (rows.dtype, encoder.width) == (np.float32, 16)
        np.testing.assert_allclose(rows, self.expected(folder), atol=1e-6)
        assert np.abs(np.linalg.norm(rows, axis=1) - 1).min() > 0.01
        assert encoder.encode([]).shape == (0, 16)

    def test_batches_do_not_matter(self, folder, monkeypatch):
        from hicm.encoders import openclip

        rows = make_encoder(f"openclip:local-dir:{folder}").encode(TEXTS)
        monkeypatch.setattr(openclip, "BATCH", 3)
        np.testing.assert_allclose(make_encoder(f"openclip:local-dir:{folder}").encode(TEXTS), rows, atol=1e-6)

    def test_a_tag_decides_the_activation(self, folder, monkeypatch):
        """open_clip warns and computes with the wrong one, e.g. for ViT-L-14/openai."""
        import open_clip
        from open_clip import factory, pretrained

        weights = str(folder / "open_clip_pytorch_model.bin")
        monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny", CLIP)
        monkeypatch.setitem(pretrained._PRETRAINED, "tiny", {"made_up": {"file": weights, "quick_gelu": True}})
        rows = make_encoder("openclip:tiny/made_up").encode(TEXTS)
        np.testing.assert_allclose(rows, self.expected(folder, quick_gelu=True), atol=1e-6)
        assert np.abs(rows - self.expected(folder)).max() > 1e-5
        by_file = make_encoder(f"openclip:tiny/{weights}")
        assert "open_clip_pytorch_model.bin@" in by_file.name
        np.testing.assert_allclose(by_file.encode(TEXTS), self.expected(folder), atol=1e-6)
        assert open_clip.get_pretrained_cfg("ViT-L-14", "openai")["quick_gelu"]

    @pytest.mark.parametrize(("rest", "message"), [
        ("ViT-L-14", "expected openclip:<model>/<pretrained>"),
        ("ViT-L14/openai", "open_clip knows no model ViT-L14; the nearest is ViT-L-14/openai"),
        ("ViT-L-15/openai", "open_clip knows no model ViT-L-15; the nearest is ViT-L-14/openai$"),
        ("ViT-L-14/opnai", "opnai is no file and no weights of ViT-L-14; the nearest is ViT-L-14/openai$"),
        ("ViT-B-32/nothing.pt", r"nothing\.pt is no file and no weights of ViT-B-32; the nearest is ViT-B-32/"),
        ("local-dir:nowhere", "cannot be loaded: there is no such folder"),
        ("local-dir:/no/where", "cannot be loaded: there is no such folder"),
        ("hf-hub:a/b/c", "cannot be loaded: there is no a/b/c on this machine; give a file or folder"),
        ("ViT-L-14/openai", r"openai: timm/vit_large_patch14_clip_224.openai is not on this machine \(looked in .*m"
                            r"odels--timm--.*\), and offline is on; load it once with a network, or copy .*, or give"),
        ("hf-hub:laion/x", r"laion/x is not on this machine \(looked in .*models--laion--x\), and offline is on; "),
    ])
    def test_what_cannot_be_loaded(self, rest, message):
        with pytest.raises(UserError, match=message):
            make_encoder(f"openclip:{rest}", offline=True).encode(["a"])
