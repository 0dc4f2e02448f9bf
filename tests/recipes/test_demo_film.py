"""The demo's video file: what is captioned from it is what the data set's features give."""

import numpy as np
import pytest

from hicm.config import load_config
from hicm.data.samples import open_samples
from hicm.encoders import make_image_encoder
from hicm.encoders.blocks import draw
from hicm.files import read_json
from hicm.recipes.demo.film import write_film
from hicm.recipes.demo.one_system import caption_a_video
from hicm.stages.predict import predict
from hicm.stages.train import train
from hicm.stages.video_captioner import VideoCaptioner
from tests.tiny import WIDTH, make_tiny


@pytest.mark.parametrize("width", [1, 5, 24, 64])
def test_blocks_show_a_vector(width):
    vectors = np.random.default_rng(0).normal(size=(9, width))
    read = make_image_encoder(f"blocks:{width}").encode_images([draw(vector) for vector in vectors])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(read, unit, atol=0.02)


def test_a_film_is_captioned_as_its_features_are(tmp_path):
    config = load_config(make_tiny(tmp_path), ["system=recall", "recall.threshold=-1"])
    run = train(config, "tiny", tmp_path / "run")
    expected = read_json(predict(run))["results"]
    samples = open_samples(config.data, "val")
    sample = samples[0]
    film = write_film(tmp_path / f"{sample.id}.mp4", sample.rows)
    captioner = VideoCaptioner(str(run), encoder=f"blocks:{WIDTH}", cache=tmp_path / "cache")
    features = captioner.features(film)
    assert features.duration == pytest.approx(len(sample.rows), abs=0.01)
    assert (np.einsum("td,td->t", features.rows, sample.rows) > 0.999).all()
    found = [{"sentence": event.text, "timestamp": [event.span.start, event.span.end]}
             for event in captioner.events(film)]
    assert found
    assert found == [{"sentence": one["sentence"], "timestamp": one["timestamp"]} for one in expected[sample.id]]
    said = caption_a_video(tmp_path, config, run)
    assert f"hicm caption {tmp_path / 'video' / sample.id}.mp4 --model {run}" in said
    assert all(one["sentence"] in said for one in found)
