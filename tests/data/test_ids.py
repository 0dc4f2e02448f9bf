import string

from hypothesis import given
from hypothesis import strategies as st

from hicm.data.ids import candidates, is_clip, youtube_id

YOUTUBE = st.text(string.ascii_letters + string.digits + "-_", min_size=11, max_size=11)


@given(YOUTUBE, st.sampled_from(["", "v_", "0_", "2_", "17_"]))
def test_youtube_id_survives_every_prefix(bare, prefix):
    assert youtube_id(prefix + bare) == bare


@given(YOUTUBE, st.sampled_from(["", "v_", "0_", "2_"]), st.sampled_from(["", "v_", "0_", "2_"]))
def test_candidates_meet_the_spelling_of_any_store(bare, asked, stored):
    assert stored + bare in candidates(asked + bare)


@given(st.text(min_size=1, max_size=30))
def test_candidates_start_exact_and_never_repeat(video_id):
    names = candidates(video_id)
    assert names[0] == video_id
    assert len(names) == len(set(names))


@given(YOUTUBE, st.integers(0, 9999), st.integers(0, 9999), st.sampled_from(["", ".0", ".25"]))
def test_clips_belong_to_their_youtube_video_and_have_features_of_their_own(bare, start, end, rest):
    """As QVHighlights names them; their last 11 characters are times, which many clips share."""
    clip = f"{bare}_{start}{rest}_{end}{rest}"
    assert youtube_id(clip) == bare and is_clip(clip) and not is_clip(bare)
    assert bare not in candidates(clip) and candidates(clip)[0] == clip


def test_short_ids_stay():
    assert youtube_id("clip1") == "clip1"
    assert candidates("v_clip1")[:2] == ("v_clip1", "clip1")
    assert candidates("clip1")[:2] == ("clip1", "v_clip1")


def test_id_that_itself_starts_with_v_is_not_cut():
    assert youtube_id("v_abcdefghi") == "v_abcdefghi"
    assert youtube_id("v_v_abcdefghi") == "v_abcdefghi"
