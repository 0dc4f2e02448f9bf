"""Intervals and paired tests: closed forms, simulations with fixed seeds, full enumeration, refusals, tables."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import UserError
from hicm.evaluation.intervals import Interval, bootstrap
from hicm.evaluation.measures import Measure, f1_measure, mean_measure
from hicm.evaluation.significance import compare, holm

SIGNATURE = "proto:vidchapters|missing:skip|cap:1000|refs:1@0a1b2c3d|cov:{0}/{0}|v:0.2.0"


@dataclass(frozen=True)
class System:
    """As much of a `Result` as a comparison needs."""

    videos: tuple[str, ...]
    measures: dict[str, Measure]
    signature: str

    @property
    def scores(self) -> dict[str, float]:
        return {name: measure.score() for name, measure in self.measures.items()}


def mean_of(values: np.ndarray, name: str = "CIDEr", additive: bool = True) -> Measure:
    return mean_measure(name, np.asarray(values, dtype=float)[:, None], additive=additive)


def system(*measures: Measure, videos: tuple[str, ...] | None = None, signature: str = SIGNATURE) -> System:
    videos = videos or tuple(f"v{at:04d}" for at in range(len(measures[0].statistics)))
    return System(videos, {measure.name: measure for measure in measures}, signature.format(len(videos)))


def scored(seed: int, videos: int = 30, better: float = 0.0) -> System:
    """A system with a mean, an F1, and a metric of one threshold."""
    random = np.random.default_rng(seed)
    return system(mean_of(random.random(videos) + better), mean_of(random.random(videos), "Recall@0.5"),
                  f1_measure("F1", random.random((videos, 4)), random.random((videos, 4)), of_means=False))


def test_the_interval_of_a_mean_is_near_the_normal_one():
    values = np.random.default_rng(3).normal(0.4, 0.1, 400)
    interval = bootstrap({"m": mean_of(values)}, samples=4000)["m"]
    half = 1.959964 * values.std() / 20  # z of 0.975 times the standard error, sqrt(400) = 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.06 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.06 * half)


def test_the_level_is_the_share_between_the_ends():
    values = np.random.default_rng(4).normal(size=400)
    wide, narrow = (bootstrap({"m": mean_of(values)}, 4000, level=level)["m"] for level in (0.99, 0.5))
    widths = [one.high - one.low for one in (wide, narrow)]
    assert widths[0] / widths[1] == pytest.approx(2.575829 / 0.674490, rel=0.06)  # z of 0.995 and of 0.75


def test_intervals_cover_the_true_mean_as_often_as_they_say():
    random = np.random.default_rng(5)
    intervals = [bootstrap({"m": mean_of(random.normal(0.7, 1.0, 60))}, seed=at)["m"] for at in range(200)]
    assert 0.90 <= np.mean([one.low <= 0.7 <= one.high for one in intervals]) <= 0.99


def test_resampling_draws_as_many_videos_as_there_are():
    rows = np.random.default_rng(6).random((37, 3))
    drawn = Measure("videos", np.ones((37, 1)), lambda sums: sums[..., 0])
    total = Measure("sum", rows, lambda sums: sums.sum(axis=-1))
    found = bootstrap({"videos": drawn, "sum": total}, level=0.999)
    assert found["videos"] == Interval(37.0, 37.0)
    assert 37 * rows.sum(axis=1).min() <= found["sum"].low < found["sum"].high <= 37 * rows.sum(axis=1).max()


def test_intervals_are_paired():
    values = np.random.default_rng(7).random(50)
    found = bootstrap({"one": mean_of(values), "two": mean_of(values + 1.0)})
    assert found["two"].low == pytest.approx(found["one"].low + 1.0, abs=1e-12)
    assert found["two"].high == pytest.approx(found["one"].high + 1.0, abs=1e-12)


def test_intervals_are_the_same_for_a_seed_in_any_order_and_company():
    measures = scored(8).measures
    found = bootstrap(measures)
    assert found == bootstrap(measures) == bootstrap(dict(reversed(measures.items())))
    assert found["F1"] == bootstrap({"F1": measures["F1"]})["F1"]
    assert found["F1"] != bootstrap(measures, seed=1)["F1"]


def test_permuted_videos_change_intervals_by_sampling_only():
    values = np.random.default_rng(9).normal(0.5, 0.1, 200)
    one, two = (bootstrap({"m": mean_of(rows)}, 4000)["m"] for rows in (values, values[::-1]))
    width = one.high - one.low
    assert one != two
    assert (one.low, one.high) == pytest.approx((two.low, two.high), abs=0.08 * width)


@pytest.mark.parametrize("measure", [
    mean_of(np.array([0.25])),
    Measure("K=1", np.array([[-2.0], [0.0], [5.0]]), lambda sums: sums[..., 0]),
    mean_measure("none takes part", np.zeros((3, 2)), np.zeros((3, 2))),
    mean_measure("no videos", np.zeros((0, 2))),
], ids=lambda measure: measure.name)
def test_odd_measures_have_intervals_and_comparisons(measure):
    interval = bootstrap({"m": measure}, 50)["m"]
    assert np.isfinite([interval.low, interval.high]).all() and interval.low <= measure.score() <= interval.high
    if len(measure.statistics):
        row = compare({"a": system(measure), "b": system(measure)}, samples=50).row(measure.name)
        # too few videos for a test
        assert (row.bootstrap_p, row.randomisation_p, row.tied) == (None, None, len(measure.statistics))


def test_no_measures_no_intervals():
    assert bootstrap({}) == {}


@pytest.mark.parametrize(("wrong", "message"), [
    ({"samples": 0}, "samples is 0, expected 1 or more"), ({"seed": -1}, "seed is -1, expected 0 or more"),
    ({"level": 0.0}, "level is 0.0, expected a share"), ({"level": 1.0}, "level is 1.0, expected a share"),
    ({"level": float("nan")}, "level is nan"),
])
def test_settings_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        bootstrap(scored(0).measures, **wrong)
    if "level" not in wrong:
        with pytest.raises(UserError, match=message):
            compare({"a": scored(0), "b": scored(1)}, **wrong)


def test_a_system_does_not_differ_from_itself():
    one = scored(10)
    copy = replace(one, measures={name: replace(measure, statistics=measure.statistics.copy())
                                  for name, measure in one.measures.items()})
    for row in compare({"one": one, "copy": copy}).rows:
        assert (row.difference, row.interval) == (0.0, Interval(0.0, 0.0))
        assert (row.bootstrap_p, row.randomisation_p) == (1.0, 1.0)
        assert (row.won, row.tied, row.lost, row.largest) == (0, 30, 0, ())


def test_a_clearly_better_system_is_told_apart():
    row = compare({"base": scored(11, 60), "ours": scored(12, 60, better=0.4)}).row("CIDEr")
    assert row.difference > 0.2 and row.interval.low > 0 and row.won > row.lost
    assert row.bootstrap_p < 0.01 and row.randomisation_p < 0.01


def test_p_is_never_zero():
    row = compare({"base": scored(11, 60), "ours": scored(12, 60, better=9.0)}, samples=99).row("CIDEr")
    assert (row.bootstrap_p, row.randomisation_p) == (0.01, 0.01)  # no hit: (0 + 1) / (99 + 1)


def test_both_ways_round_a_comparison_says_the_same():
    one, two = scored(13), scored(14)
    there, back = compare({"one": one, "two": two}), compare({"two": two, "one": one})
    for row, other in zip(there.rows, back.rows, strict=True):
        assert (row.won, row.tied, row.lost) == (other.lost, other.tied, other.won)
        assert (row.bootstrap_p, row.randomisation_p) == (other.bootstrap_p, other.randomisation_p)
        assert (row.difference, row.interval.low) == pytest.approx((-other.difference, -other.interval.high))


def test_p_values_are_uniform_where_nothing_differs():
    random = np.random.default_rng(15)
    rows = [compare({"a": system(mean_of(random.normal(size=60))), "b": system(mean_of(random.normal(size=60)))},
                    samples=500, seed=at).rows[0] for at in range(200)]
    for p_values in ([row.bootstrap_p for row in rows], [row.randomisation_p for row in rows]):
        assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.11
        assert 0.40 <= np.mean(np.array(p_values) < 0.50) <= 0.60


def exact_p_value(one: Measure, two: Measure) -> float:
    """Over all 2^V swaps, one by one."""
    observed, hits = abs(two.score() - one.score()), 0
    for swap in itertools.product([False, True], repeat=len(one.statistics)):
        mask = np.array(swap)[:, None]
        first = np.where(mask, two.statistics, one.statistics).sum(axis=0)
        second = np.where(mask, one.statistics, two.statistics).sum(axis=0)
        hits += abs(two.finish(second) - one.finish(first)) >= observed - 1e-12
    return hits / 2 ** len(one.statistics)


@pytest.mark.parametrize("name", ["CIDEr", "F1"])
@pytest.mark.parametrize("seed", [16, 18, 20])
def test_random_swaps_approach_all_swaps(seed, name):
    one, two = scored(seed, 8), scored(seed + 1, 8)
    row = compare({"one": one, "two": two}, [name], samples=20000).rows[0]
    exact = exact_p_value(one.measures[name], two.measures[name])
    assert row.randomisation_p == pytest.approx(exact, abs=0.015)  # 4 standard errors of 20000 draws at p = 0.5


def test_holm_by_hand():
    # 0.01 * 4, 0.013 * 3 = 0.039 raised to the 0.04 before it, 0.014 * 2 likewise, 0.19 * 1
    assert holm([0.013, 0.19, 0.01, 0.014]) == pytest.approx([0.04, 0.19, 0.04, 0.04])
    assert holm([0.5, 0.6]) == [1.0, 1.0] and holm([0.2]) == [0.2] and holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni(p_values):
    adjusted = holm(p_values)
    assert all(p <= up <= min(1.0, len(p_values) * p) for p, up in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_several_systems_are_corrected_per_metric():
    systems = {"base": scored(22), "one": scored(23), "two": scored(24, better=0.1)}
    found = compare(systems)
    for metric in ("CIDEr", "F1"):
        rows = [found.row(metric, name) for name in ("one", "two")]
        assert [row.bootstrap_p_holm for row in rows] == holm([row.bootstrap_p for row in rows])
        assert [row.randomisation_p_holm for row in rows] == holm([row.randomisation_p for row in rows])
    alone = compare({name: systems[name] for name in ("base", "two")}).row("CIDEr")
    assert (alone.bootstrap_p_holm, alone.randomisation_p_holm) == (None, None)
    row = found.row("CIDEr", "two")
    assert replace(row, bootstrap_p_holm=None, randomisation_p_holm=None) == alone


def test_a_comparison_is_the_same_for_a_seed_in_any_order_and_company():
    one, two = scored(25), scored(26)
    turned = [replace(each, measures=dict(reversed(each.measures.items()))) for each in (one, two)]
    found, again = compare({"a": one, "b": two}), compare({"a": turned[0], "b": turned[1]})
    assert found == compare({"a": one, "b": two})
    assert set(found.rows) == set(again.rows) and found.scores == again.scores
    assert compare({"a": one, "b": two}, ["F1"]).row("F1") == found.row("F1")
    assert compare({"a": one, "b": two}, "F1").printed == ("F1",)
    assert compare({"a": one, "b": two}, seed=1).rows != found.rows


def test_f1_is_made_of_resampled_means():
    random = np.random.default_rng(27)
    precision, recall = random.random((2, 40, 1))
    one, two = (system(f1_measure("F1", rows, recall, of_means=True)) for rows in (precision, precision ** 2))
    row = compare({"one": one, "two": two}).row("F1")
    means = (precision ** 2).mean(), recall.mean()
    assert row.score == pytest.approx(2 * means[0] * means[1] / sum(means))
    assert row.interval.low < row.difference < row.interval.high < 0 and row.randomisation_p < 0.01
    assert (row.won, row.lost) == (0, 40)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12)), st.integers(0, 2**16))
def test_rows_in_another_order_are_the_same_videos(order, seed):
    one, two = scored(seed, 12), scored(seed + 1, 12)
    turned = replace(two, videos=tuple(two.videos[at] for at in order),
                     measures={name: replace(measure, statistics=measure.statistics[list(order)])
                               for name, measure in two.measures.items()})
    assert compare({"one": one, "two": two}, samples=20) == compare({"one": one, "two": turned}, samples=20)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(40)))
def test_renamed_videos_keep_scores_and_nearly_the_intervals(order):
    one, two = scored(28, 40), scored(29, 40)
    turned = [replace(each, measures={name: replace(measure, statistics=measure.statistics[list(order)])
                                      for name, measure in each.measures.items()}) for each in (one, two)]
    for row, other in zip(compare({"one": one, "two": two}).rows,
                          compare({"one": turned[0], "two": turned[1]}).rows, strict=True):
        assert (row.score, row.difference) == pytest.approx((other.score, other.difference), abs=1e-12)
        assert (row.won, row.tied, row.lost) == (other.won, other.tied, other.lost)
        width = row.interval.high - row.interval.low
        assert (row.interval.low, row.interval.high) == pytest.approx(
            (other.interval.low, other.interval.high), abs=0.25 * width)


def test_wins_and_the_largest_differences():
    base, ours = np.full(8, 0.5), np.array([0.5, 0.6, 0.1, 0.5 + 1e-14, 0.9, 0.7, 0.45, 0.53])
    row = compare({"base": system(mean_of(base)), "ours": system(mean_of(ours))}, samples=10).row("CIDEr")
    assert (row.won, row.tied, row.lost) == (4, 2, 2)
    assert [one.video for one in row.largest] == ["v0002", "v0004", "v0005", "v0001", "v0006"]
    first = row.largest[0]
    assert (first.baseline, first.system, first.difference) == pytest.approx((0.5, 0.1, -0.4))


def test_a_video_that_takes_part_on_one_side_only_is_neither_won_nor_lost():
    values, counts = np.array([[0.5], [0.5], [0.5]]), np.array([[1.0], [1.0], [1.0]])
    part = np.array([[0.0], [1.0], [0.0]])
    base, ours = mean_measure("soda_c", values, counts), mean_measure("soda_c", part * 0.75, part)
    row = compare({"base": system(base), "ours": system(ours)}, samples=10).row("soda_c")
    assert (row.score, row.won, row.tied, row.lost) == (0.75, 1, 2, 0)
    assert [one.video for one in row.largest] == ["v0001"]


def test_systems_meet_on_the_videos_they_share():
    signature = "proto:hicm|cov:{}/4|v:0.2.0"
    base = system(mean_of(np.array([0.1, 0.2, 0.3, 0.4]), additive=False), videos=("a", "b", "c", "d"),
                  signature=signature)
    ours = system(mean_of(np.array([0.5, 0.7, 0.9]), additive=False), videos=("b", "d", "e"), signature=signature)
    found = compare({"base": base, "ours": ours}, samples=20, seed=3)
    assert (found.videos, found.known) == (("b", "d"), 5)
    assert found.scores == {"base": {"CIDEr": pytest.approx(0.3)}, "ours": {"CIDEr": pytest.approx(0.6)}}
    assert len(found.warnings) == 3 and "base 4/4, ours 3/4" in found.warnings[0] and "CIDEr" in found.warnings[1]
    assert "at least 6 videos" in found.warnings[2]
    assert found.signature == "proto:hicm|cov:2/4|v:0.2.0|paired:20,seed=3"
    assert "on 2 of 5 videos" in str(found) and "warning: coverage differs" in str(found)


def test_the_same_videos_give_the_scores_of_the_systems_and_no_warning():
    one, two = scored(30), scored(31)
    found = compare({"one": one, "two": two}, samples=20)
    assert found.scores == {"one": one.scores, "two": two.scores} and found.warnings == ()


def signed(signature: str) -> System:
    return replace(scored(32), signature=signature)


def test_systems_that_were_scored_by_other_rules_are_refused():
    systems = {"base": signed("proto:hicm|missing:zero|cov:30/30|v:0.2.0"),
               "ours": signed("proto:hicm|missing:skip|cap:10|cov:30/30|v:0.2.0")}
    with pytest.raises(UserError) as refused:
        compare(systems)
    message = str(refused.value)
    assert message.startswith(
        "ours was not scored as base was: missing:skip instead of missing:zero; cap:10 instead of "
        "cap:(none);")
    assert "\n" not in message and "v:0.2.0" not in message and "cov" not in message


@pytest.mark.parametrize("signature", ["proto:hicm|cov:30/31|v:1", "proto:hicm|cov:30/30|v:1|boot:1000,seed=0"])
def test_what_changes_no_score_may_differ(signature):
    found = compare({"base": signed("proto:hicm|cov:30/30|v:1"), "ours": signed(signature)}, samples=10)
    assert found.signature == "proto:hicm|cov:30/30|v:1|paired:10,seed=0"
    assert bool(found.warnings) == ("30/31" in signature)


@pytest.mark.parametrize(("systems", "metrics", "message"), [
    ({"a": scored(33)}, None, "1 systems to compare, expected two or more"),
    ({"a": scored(33), "b": scored(34)}, ["cider"], "metric 'cider' is unknown to a, b; the nearest is 'CIDEr'"),
    ({name: system(mean_of(np.ones(3), "insider"), mean_of(np.ones(3))) for name in "ab"}, ["cider"],
     "is 'CIDEr'; known"),
    ({"a": scored(33), "b": scored(34)}, [], "metrics is empty"),
    ({"a": system(mean_of(np.ones(3), "x")), "b": system(mean_of(np.ones(3), "y"))}, None, "a, b share no metric"),
    ({"a": system(mean_of(np.ones(2)), videos=("p", "q")), "b": system(mean_of(np.ones(2)), videos=("r", "s"))}, None,
     r"no videos were scored for all systems \(a 2, b 2\)"),
])
def test_what_cannot_be_compared_is_refused(systems: Mapping[str, System], metrics, message):
    with pytest.raises(UserError, match=message):
        compare(systems, metrics)


def test_the_printed_table():
    found = compare({"base": scored(35), "ours_2": scored(36, better=0.4)})
    lines = str(found).splitlines()
    row = found.row("CIDEr")
    assert lines[0].split()[:3] == ["metric", "system", "score"] and "Holm" not in lines[0]
    assert lines[1].split() == ["CIDEr", "base", f"{100 * row.baseline_score:.2f}"]
    cells = [f"{100 * row.score:.2f}", f"+{100 * row.difference:.2f}", f"[+{100 * row.interval.low:.2f}, ",
             f"{row.bootstrap_p:.4f}", f"{row.randomisation_p:.4f}", f"{row.won}/{row.tied}/{row.lost}"]
    assert all(cell in lines[2] for cell in ["ours_2", *cells])
    assert len(lines[0]) == len(lines[2])
    assert f"{row.largest[0].video} {100 * row.largest[0].difference:+.2f}" in str(found)
    assert "on 30 of 30 videos" in lines[-2] and lines[-1] == found.signature
    assert "Recall@0.5" not in str(found) and "Recall@0.5" in found.scores["base"]


def test_a_wanted_metric_of_one_threshold_is_printed():
    assert "Recall@0.5" in str(compare({"base": scored(35), "ours": scored(36)}, ["Recall@0.5", "F1"], samples=10))


def test_three_systems_print_the_corrected_p_values():
    found = compare({"base": scored(37), "one": scored(38), "two": scored(39)}, samples=50)
    assert "p bootstrap, Holm" in str(found) and f"{found.row('F1', 'two').randomisation_p_holm:.4f}" in str(found)


def test_markdown_and_latex():
    found = compare({"base|1": scored(40), "ours_50%": scored(41)}, samples=50)
    rows = found.to_markdown(1).splitlines()
    assert rows[0].startswith("| metric | system | score |") and rows[1].startswith("|---|---|---:|")
    assert "| base\\|1 |" in rows[2] and rows[-1] == f"`{found.signature}`"
    assert len({row.replace("\\|", "").count("|") for row in rows[:6]}) == 1
    latex = found.to_latex()
    assert all(rule in latex for rule in (r"\begin{tabular}{ll", r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"ours\_50\%" in latex and r"95 \% interval" in latex
    assert latex.splitlines()[-1] == f"% {found.signature}"
    widths = {line.count(" & ") for line in latex.splitlines() if line.endswith(r"\\")}
    assert len(widths) == 1


def test_json_holds_everything_as_plain_data():
    found = compare({"base": scored(42), "ours": scored(43)}, samples=50)
    content = found.to_json()
    assert json.loads(json.dumps(content)) == content
    assert content["baseline"] == "base" and content["common"] == content["known"] == 30
    assert [row["metric"] for row in content["comparisons"]] == ["CIDEr", "Recall@0.5", "F1"]
    first, row = content["comparisons"][0], found.row("CIDEr")
    assert first["interval"] == [row.interval.low, row.interval.high]
    assert first["largest"][0]["video"] == row.largest[0].video
    assert content["scores"] == found.scores and content["signature"] == found.signature
