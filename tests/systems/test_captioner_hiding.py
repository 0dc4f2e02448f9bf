"""Training videos whose frames are hidden."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hicm.rooms import check_settings
from hicm.systems.captioner.dataset import VideoDataset
from hicm.systems.captioner.hiding import chance_of, hide
from tests.systems.test_captioner_training_options import prepared
from tests.tiny import tiny_config

EPOCHS, STEPS = range(6), [[(0, 0), (0, 1)], [(0, 2), (0, 3)]]


@given(real=st.integers(0, 12), padding=st.integers(0, 4), share=st.floats(0, 1), seed=st.integers(0, 9))
def test_a_run_of_real_frames_is_hidden(real, padding, share, seed):
    mask = np.arange(real + padding) < real
    hidden = hide(mask, 1.0, share, np.random.default_rng(seed))
    assert hidden.sum() == round(share * real) and not (hidden & ~mask).any()
    places = hidden.nonzero()[0]
    assert not len(places) or places[-1] - places[0] + 1 == len(places)
    assert not hide(mask, 0.0, share, np.random.default_rng(seed)).any()


def test_as_many_videos_are_hidden_as_the_chance_says_and_any_run_is_possible():
    rng, mask = np.random.default_rng(0), np.ones(10, bool)
    drawn = np.stack([hide(mask, 0.3, 0.5, rng) for _ in range(4000)])
    assert drawn.any(axis=1).mean() == pytest.approx(0.3, abs=0.02)
    starts = drawn[drawn.any(axis=1)].argmax(axis=1)
    assert set(starts.tolist()) == set(range(6))
    assert [chance_of(0.6, True, epoch, 3) for epoch in range(3)] == [0.0, 0.3, 0.6]
    assert [chance_of(0.6, False, epoch, 3) for epoch in range(3)] == [0.6] * 3


@pytest.fixture
def config(tmp_path):
    return tiny_config(tmp_path, videos=4, retrieval__search="none", captioner__video_drop=0.5, train__epochs=6)


def with_room(config, **changes):
    return dataclasses.replace(config, room=dataclasses.replace(config.room, **changes))


def hidden(system, epochs=EPOCHS):
    return torch.cat([torch.cat([batch.hidden.any(1) for batch in system.batches(
        [[(epoch, row) for _, row in micro] for micro in STEPS])]) for epoch in epochs])


def test_it_depends_on_seed_epoch_and_row_alone_and_changes_no_other_noise(config, tmp_path):
    first, again = prepared(config, tmp_path), prepared(config, tmp_path)
    found = hidden(first)
    assert 0 < found.float().mean() < 1
    assert torch.equal(found[8:], hidden(again, EPOCHS[2:])), "as if the epochs before had never been"
    other = dataclasses.replace(config, train=dataclasses.replace(config.train, seed=1))
    assert not torch.equal(found, hidden(prepared(other, tmp_path)))
    growing = prepared(with_room(config, video_drop=1.0, video_drop_grows=True), tmp_path)
    shares = hidden(growing).view(6, 4).float().mean(1)
    assert shares[0] == 0 and shares[-1] == 1
    plain = prepared(with_room(config, video_drop=0.0), tmp_path)
    for one, two in zip(first.batches(STEPS), plain.batches(STEPS), strict=True):
        assert two.hidden is None and torch.equal(one.frames, two.frames)
        assert torch.equal(one.noisy_speech, two.noisy_speech) and torch.equal(one.noisy_target, two.noisy_target)


@pytest.mark.parametrize("standardise", [False, True])
def test_the_model_sees_nothing_of_what_is_hidden(config, tmp_path, standardise):
    system = prepared(with_room(config, video_drop=1.0, standardise=standardise), tmp_path)
    batch, = system.batches([[(0, 0), (0, 1)]])
    assert torch.equal(batch.hidden, batch.frame_mask)
    model = system.model.eval()
    assert (model.standardise is not None) == standardise
    other = dataclasses.replace(batch, frames=batch.frames + 7.0 * batch.frame_mask[:, :, None])
    seen = dataclasses.replace(batch, hidden=None)
    with torch.inference_mode():
        assert torch.equal(model.encode_video(batch)[0], model.encode_video(other)[0])
        assert not torch.equal(model.encode_video(batch)[0], model.encode_video(seen)[0])


def test_prediction_hides_nothing(config, tmp_path):
    system = prepared(config, tmp_path)
    dataset = VideoDataset(config, system.dataset.samples, system.vocabulary, teaching=False)
    assert all(dataset[0, row].hidden is None for row in range(4))


@pytest.mark.parametrize(("changes", "said"), [
    ({"use_video": False, "use_speech": True}, "without effect with captioner.use_video=false: captioner.video_drop"),
    ({"use_speech": False}, "without speech and memory nothing is left of a video that is hidden"),
    ({"video_drop_share": 0.0}, "captioner.video_drop_share=0: hides no frame of 20"),
    ({"video_drop_share": 0.02}, "captioner.video_drop_share=0.02: hides no frame of 20"),
    ({"video_drop": 0.0, "video_drop_grows": True}, "without effect with captioner.video_drop=0: ")])
def test_what_has_no_effect_or_no_sense_is_told(config, changes, said):
    with pytest.warns(UserWarning, match=said):
        check_settings(with_room(config, **changes))


def test_a_share_that_hides_a_frame_is_not_warned_of(config):
    assert config.data.frames == 20
    for share in (0.0, 0.02, 0.025, 0.026, 0.5):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            check_settings(with_room(config, video_drop_share=share))
        nothing = not hide(np.ones(20, bool), 1.0, share, np.random.default_rng(0)).any()
        assert any("hides no frame" in str(one.message) for one in said) == nothing
