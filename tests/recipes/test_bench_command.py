"""hicm bench: turns and ratios, what agrees, what is refused, what an interrupted run leaves."""

import json
import os
import re
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hicm import verbs
from hicm.data.samples import SplitSamples
from hicm.errors import UserError
from hicm.heap import keep_freed_memory
from hicm.recipes.bench import evaluation, generation, loading, machine, memory, race, retrieval, step
from hicm.recipes.bench import run as run_module
from hicm.recipes.bench.race import Asked, Run
from hicm.recipes.bench.table import table
from hicm.training import speed
from hicm.training.speed import Speed, count_flops

TINY = Asked("tiny", 1, "cpu")


@pytest.fixture
def quick(monkeypatch):
    """The machine is not measured, nor is the time of operations, which takes seconds."""
    monkeypatch.setattr(machine, "load", lambda: [0.0, 0.0, 0.0])
    for module in (step, generation):
        monkeypatch.setattr(module, "measure_speed", lambda device: Speed(1e9, 2e9, 1e8))
        monkeypatch.setattr(module, "profiled", lambda work, device: [{"operation": "mm", "share": 1.0, "calls": 1}])
    monkeypatch.setattr(generation, "count_flops", lambda work: [work(), 10**6][1])
    monkeypatch.setattr(generation, "few_row_speeds", lambda device: {1: 1e8, 4: 4e8})
    monkeypatch.setattr(step, "choose_precision",
                        lambda config, device: ("bf16", {"bf16_speedup": 2.0, "needed": 1.2}))


# taking turns

def test_runs_take_turns_after_a_warm_up(monkeypatch):
    clock, done = iter(range(1000)), []
    monkeypatch.setattr(race, "_now", lambda: ((now := next(clock)) * 2.0, now * 1.0))
    slow = Run("slow", lambda: (done.append("slow"), next(clock))[0], base="fast", count=lambda _: {"videos": 6})
    found = race.race([Run("fast", lambda: done.append("fast")), slow], Asked("tiny", 2, "cpu"))
    assert done == ["fast", "slow"] * 3
    assert found["fast"].wall == [1, 1] and found["slow"].wall == [2, 2] and found["slow"].cpu == [4, 4]
    told = race.to_json(found)[1]
    assert told["ratio"] == {"cpu": [2, 2], "wall": [2, 2]} and told["median_ratio"]["wall"] == 2
    assert told["per_second"] == {"videos": 3} and "ratio" not in race.to_json(found)[0]


def test_what_a_run_does_first_takes_the_place_of_its_warm_up():
    done = []
    race.race([Run("one", lambda: done.append("work"), first=lambda: done.append("first"))], TINY)
    assert done == ["first", "work"]


@pytest.mark.skipif(not machine.RESET.exists(), reason="only Linux tells the peak of a part")
def test_the_peak_is_that_of_the_work():
    keep_freed_memory(False)  # a training before this test has it kept
    before = machine.host_peak()
    large = bytearray(os.urandom(1) * 2**27)
    with_large = before()
    del large
    after = machine.host_peak()()
    assert with_large - after > 100


def test_a_busy_machine_is_warned_of(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    monkeypatch.setattr(machine, "load", lambda: [2.0, 9.0, 9.0])
    assert machine.busy() == ""
    monkeypatch.setattr(machine, "load", lambda: [2.1, 0.0, 0.0])
    assert machine.busy().startswith("load average 2.1 on 4 cores")
    monkeypatch.setattr(machine, "load", lambda: None)
    assert machine.busy() == ""


def test_products_are_counted_and_phases_add_up():
    assert count_flops(lambda: torch.ones(3, 5) @ torch.ones(5, 7)) == 2 * 3 * 5 * 7
    layer = torch.nn.Linear(2, 2, bias=False)
    trained = speed.Step((layer, lambda: layer(torch.ones(1, 2)).sum(), lambda: None), "cpu")
    trained()
    shares = trained.shares()
    assert list(shares) == ["forward", "backward", "update"] and sum(shares.values()) == pytest.approx(1)
    assert trained.floor(10, Speed(5.0, 1.0, 8.0)) == 10 / 5 + 10 * 4 * 4 / 8
    before = layer.weight.clone()
    trained.evaluate()
    assert torch.equal(before, layer.weight)
    trained()
    assert not torch.equal(before, layer.weight)


def test_a_measured_step_waits_for_the_norm_on_a_processor_only(monkeypatch):
    layer, waits = torch.nn.Linear(1, 1), []
    monkeypatch.setattr(speed, "optimiser_step", lambda *_, wait: waits.append(wait))
    trained = speed.Step((layer, lambda: layer(torch.ones(1, 1)).sum(), lambda: None), "cpu")
    trained()
    trained.device = torch.device("cuda")
    with warnings.catch_warnings(action="ignore"):  # there may be none
        trained()
    assert waits == [True, False]


def test_what_speed_measures_is_positive(monkeypatch):
    monkeypatch.setattr(speed, "SHAPE", (8, 16, 24))
    monkeypatch.setattr(speed, "READ", 2**12)
    found = speed.measure_speed.__wrapped__("cpu")
    assert min(found.float32, found.bfloat16, found.memory) > 0
    few = speed.few_row_speeds.__wrapped__("cpu")
    assert tuple(few) == speed.FEW and min(few.values()) > 0


# the parts

def test_the_parts_are_found_in_the_order_of_the_work():
    assert list(run_module.find_parts([])) == ["loading", "step", "generation", "retrieval", "evaluation", "memory"]
    assert list(run_module.find_parts(["memory", "step"])) == ["step", "memory"]


@pytest.mark.slow
def test_loading_is_measured_in_the_first_epoch_and_in_later_ones(monkeypatch):
    read = []
    take = SplitSamples.__getitem__
    monkeypatch.setattr(SplitSamples, "__getitem__", lambda samples, row: [read.append(row), take(samples, row)][1])
    turns, counts = loading.race, []

    def count_reads(runs, *others):
        for run in [*runs[:2], *runs[:2]]:
            before = len(read)
            run.work()
            counts.append((run.name, len(read) - before))
        return turns(runs, *others)

    monkeypatch.setattr(loading, "race", count_reads)
    found = loading.measure(TINY)
    assert counts[2:] == [(loading.FIRST, 4), (loading.LATER, 0)]
    assert found["checks"] == [f"{loading.PLAIN}: batches equal ours"]
    assert found["shares"].keys() == {loading.FIRST, loading.LATER, loading.PLAIN}
    assert 0 < found["shares"][loading.LATER] < found["shares"][loading.FIRST] < 1


def test_a_step_equals_the_plain_one_and_is_measured_in_both_precisions(quick):
    found = step.measure(TINY)
    names = [run["name"] for run in found["runs"]]
    assert names == [step.RELEASED, step.PLAIN, step.OURS, "precision auto: bfloat16"]
    assert [run.get("base") for run in found["runs"]] == [None, step.RELEASED, None, step.OURS]
    [check] = found["checks"]
    assert step.PLAIN in check and float(check.split()[-1]) < 1e-5
    assert found["costs"][step.OURS]["flops"] == found["costs"]["precision auto: bfloat16"]["flops"] > 1e6
    assert found["costs"][step.OURS]["floor_seconds"] > found["costs"]["precision auto: bfloat16"]["floor_seconds"]
    assert found["phases"][step.OURS].keys() == {"forward", "backward", "update"}


def test_generation_gives_the_ids_of_transformers(quick):
    found = generation.measure(TINY)
    assert len(found["checks"]) == 2 and all("ids of 4 of 4 videos" in check for check in found["checks"])
    costs = found["costs"]["ours, greedy"]
    lengths = found["settings"]["generated_tokens"]
    assert costs["steps"] == max(lengths) <= 16 and len(set(lengths)) == 4
    assert found["runs"][0]["per_second"]["tokens"] * found["runs"][0]["median"]["wall"] == pytest.approx(sum(lengths))
    assert [run["name"] for run in found["runs"] if run.get("base") == "ours, 4 beams"] == ["transformers, 4 beams"]
    assert found["costs"]["ours, 4 beams"]["bytes_per_step"] > costs["bytes_per_step"] > 4 * 600 * 64  # the head alone


def test_retrieval_equals_the_loop():
    found = retrieval.measure(TINY)
    assert found["runs"][0]["name"] == retrieval.DESCEND and len(found["runs"]) == 8
    assert float(found["checks"][0].split()[-1]) < 1e-5


def test_memory_has_the_partitions_of_the_plain_way(monkeypatch):
    monkeypatch.setattr(memory, "find_spec", lambda name: None)
    found = memory.measure(TINY)
    assert found["checks"] == [f"{memory.PLAIN}: partitions equal"]
    assert found["notes"] == [f"{memory.PACKAGE}: not measured: pip install finch-clust"]
    points = memory.embeddings(50, 8)
    own, other = memory.plain(points), memory.plain(points)
    assert memory.same_partitions(own, other)
    other[0, 0] = 99
    assert not memory.same_partitions(own, other)


@pytest.mark.slow
def test_evaluation_without_java():
    found = evaluation.measure(TINY)
    assert [run["name"] for run in found["runs"]] == [evaluation.OURS, evaluation.ALONE]
    assert found["settings"]["videos"] == 6 and len(found["notes"]) == 1


@pytest.mark.java
def test_evaluation_with_java(monkeypatch):
    monkeypatch.setitem(evaluation.VIDEOS, "small", 2)
    found = evaluation.measure(Asked("small", 1, "cpu"))
    assert float(found["checks"][0].split()[-1]) < 1e-9


@pytest.mark.gpu
def test_a_gpu_is_measured():
    for part in (step, generation):
        found = part.measure(Asked("tiny", 1, "cuda"))
        assert all(run["gpu_peak_mib"] > 0 for run in found["runs"]) and found["profile"]


# the whole

@pytest.mark.slow
def test_everything_is_measured_and_written(tmp_path):
    found = verbs.bench(size="tiny", repeat=1, device="cpu", out=str(tmp_path / "bench.json"))
    content = json.loads((tmp_path / "bench.json").read_text())
    assert set(content["parts"]) == {"loading", "step", "generation", "retrieval", "evaluation", "memory"}
    assert content["machine"]["threads"] == torch.get_num_threads() and content["versions"]["torch"]
    memory_, costs = content["parts"]["memory"], content["parts"]["generation"]["costs"]["ours, greedy"]
    assert [check.split(": ")[1] for check in memory_["checks"]] == ["partitions equal"] * 2
    assert costs["flops"] > costs["encoding_flops"] > 0
    assert content["parts"]["step"]["profile"][step.OURS][0]["share"] > 0
    shown = str(found)
    for said in ("loading is ", "products of 1, 4, 8, 16, 64 rows", "times the floor", "x CPU", "phases of",
                 "train.precision: auto"):
        assert said in shown


def part(name: str, order: int, done: list[str], error: type[BaseException] | None = None) -> SimpleNamespace:
    def measure(asked: Asked) -> dict:
        done.append(name)
        if error:
            raise error
        runs = race.to_json(race.race([Run(name, lambda: None)], asked))
        return {"settings": {"videos": 1}, "runs": runs, "checks": [], "notes": [f"note of {name}"]}

    return SimpleNamespace(measure=measure, ORDER=order)


def test_an_interrupted_run_keeps_what_is_finished_and_begins_anew(tmp_path, monkeypatch):
    done, out = [], tmp_path / "bench.json"
    parts = {"first": part("first", 1, done), "second": part("second", 2, done, KeyboardInterrupt)}
    monkeypatch.setattr(run_module, "find_parts", lambda names: parts)
    monkeypatch.setattr(machine, "load", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        verbs.bench(repeat=1, out=str(out))
    assert list(json.loads(out.read_text())["parts"]) == ["first"]
    parts["second"] = part("second", 2, done)
    text = str(verbs.bench(repeat=1, out=str(out), overwrite=True))
    assert done == ["first", "second"] * 2 and "note of second" in text and "load unknown" in text


def test_a_warning_is_shown_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "find_parts", lambda names: {"one": part("one", 1, [])})
    monkeypatch.setattr(machine, "load", lambda: [99.0, 1.0, 1.0])
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    with pytest.warns(UserWarning, match=r"load average 99\.0 on 2 cores"):
        found = verbs.bench(repeat=1, out=str(tmp_path / "bench.json"))
    assert found.content["warnings"] and "warning: load average 99.0" in table(found.content)


@pytest.mark.parametrize(("arguments", "said"), [
    ({"size": "huge"}, "--size huge: expected one of tiny, small, base"),
    ({"repeat": 0}, "--repeat 0: expected 1 or more"),
    ({"parts": ["stepp"]}, "did you mean 'step'?"),
    ({"parts": ["step"], "device": "abacus"}, "--device abacus: cannot be used"),
    ({"parts": ["memory"], "device": "abacus"}, "--device abacus: cannot be used"),
    ({"parts": ["step"], "reference": "nowhere"}, "--reference nowhere: "),
])
def test_bad_arguments_are_refused_before_anything_is_measured(tmp_path, arguments, said):
    with pytest.raises(UserError, match=re.escape(said)):
        verbs.bench(out=str(tmp_path / "bench.json"), **arguments)
    assert not (tmp_path / "bench.json").exists()


def test_a_file_that_holds_something_else_is_kept(tmp_path):
    for content in ('{"events": []}', "not json"):
        out = tmp_path / "mine.json"
        out.write_text(content)
        with pytest.raises(UserError, match="holds no measurements"):
            verbs.bench(["memory"], out=str(out))
        assert out.read_text() == content


def test_earlier_measurements_are_kept_unless_told(tmp_path, monkeypatch):
    done, out = [], tmp_path / "bench.json"
    monkeypatch.setattr(run_module, "find_parts", lambda names: {"one": part("one", 1, done)})
    monkeypatch.setattr(machine, "load", lambda: None)
    verbs.bench(repeat=1, out=str(out))
    before = out.read_text()
    with pytest.raises(UserError, match="holds earlier measurements; name another file, or add --overwrite"):
        verbs.bench(repeat=1, out=str(out))
    assert done == ["one"] and out.read_text() == before


def test_a_place_that_cannot_be_written_is_refused_first(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(run_module, "find_parts", lambda names: {"one": part("one", 1, done)})
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file" / "bench.json"):
        with pytest.raises(UserError, match="cannot be written"):
            verbs.bench(repeat=1, out=str(out))
    assert not done


def test_a_reference_that_no_part_uses_is_not_loaded(tmp_path, monkeypatch):
    assert [name for name, one in run_module.find_parts([]).items() if hasattr(one, "REFERENCE")] == [
        "step", "generation"]
    monkeypatch.setattr(run_module, "find_parts", lambda names: {"one": part("one", 1, [])})
    monkeypatch.setattr(machine, "load", lambda: None)
    with pytest.warns(UserWarning, match="--reference nowhere: not used; only step and generation"):
        found = verbs.bench(repeat=1, reference="nowhere", out=str(tmp_path / "bench.json"))
    assert found.content["settings"]["reference"] is None


def test_greedy_alone_leaves_beams_out(quick):
    found = generation.measure(replace(TINY, greedy=True))
    assert [run["name"] for run in found["runs"]] == ["ours, greedy", "transformers, greedy", "ours, encoding alone"]
    assert found["costs"].keys() == {"ours, greedy"} and len(found["checks"]) == 1


def test_greedy_without_generation_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "find_parts", lambda names: {"one": part("one", 1, [])})
    monkeypatch.setattr(machine, "load", lambda: None)
    with pytest.warns(UserWarning, match="--greedy: not used"):
        verbs.bench(repeat=1, greedy=True, out=str(tmp_path / "bench.json"))


def test_measurements_are_known_as_the_command_names_them(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "find_parts", lambda names: {"one": part("one", 1, [])})
    monkeypatch.setattr(machine, "load", lambda: None)
    found = verbs.bench(size="base", repeat=2, out=str(tmp_path / "bench.json"))
    assert found.content["settings"] == {"size": "base", "repeat": 2, "reference": None, "greedy": False}
    assert len(found.content["parts"]["one"]["runs"][0]["wall"]) == 2
    assert Path(found.out).is_file()
