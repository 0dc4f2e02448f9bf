"""Settings: order of force, strictness, presets, and files that read back as they were written."""

import copy
import dataclasses
import typing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.config import Config, DataConfig, TrainConfig, changes, config_text, digest, load_config, save_config
from hicm.errors import UserError
from hicm.former import FORMER
from hicm.rooms import presets, room_names, settings_class
from tests.test_yaml import WORDS

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "configs").glob("*.yaml"))
PRESETS = presets("captioner")
SECTIONS = {name: hint for name, hint in typing.get_type_hints(Config).items() if dataclasses.is_dataclass(hint)}


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return path
    return write


def refused(match: str, path: Path | None = None, *overrides: str) -> str:
    """The message of the one-line UserError that loading must end with."""
    with pytest.raises(UserError, match=match) as caught:
        load_config(path, overrides)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# order of force

def test_defaults_are_those_of_the_published_recipe():
    """HiCM2's launch script for YouCook2 (train_ret_yc2_hier.sh) and the defaults behind it."""
    config = load_config()
    train, captioner, retrieval = config.train, config.room, config.retrieval
    objective = captioner.objective
    assert (train.epochs, train.lr, train.schedule, train.warmup, train.batch, train.clip, train.seed) == (
        20, 3e-4, "cosine", 0.1, 2, 1.0, 42)
    assert (objective.generative, objective.denoising, objective.label_smoothing, objective.noise_density,
            objective.noise_span) == (1.0, 1.0, 0.1, 0.25, 5.0)
    assert (captioner.time_bins, captioner.visual_depth, captioner.visual_heads, captioner.visual_mlp) == (
        100, 12, 12, 2048)
    assert (captioner.memory_dropout, captioner.max_speech_tokens, captioner.max_caption_tokens) == (0.5, 1000, 256)
    assert (retrieval.windows, retrieval.top_k, retrieval.select, captioner.decode.beams) == (10, 10, "top-k", 4)


def test_file_over_defaults_and_set_over_file(write):
    path = write("train: {lr: 1.0e-3, epochs: 5}\nretrieval: {windows: 30}\n")
    config = load_config(path, ["train.lr=2e-3", "captioner.decode.beams=1", "train.lr=5e-3"])
    assert (config.train.epochs, config.retrieval.windows, config.room.decode.beams) == (5, 30, 1)
    assert config.train.lr == 5e-3, "the last --set wins"
    assert config.train.batch == TrainConfig().batch


def test_preset_yields_to_the_file_that_names_it_and_to_set(write):
    path = write("preset: released\nretrieval: {search: flat}\ntrain: {lr: 1.0e-3}\n")
    config = load_config(path, ["train.schedule_lag=false"])
    assert (config.preset, config.retrieval.search, config.train.schedule_lag) == ("released", "flat", False)
    assert config.retrieval.tail == "drop" and config.train.lr == 1e-3
    assert config.room.objective.denoising_memory == "requeried"


def test_preset_by_set_outweighs_the_file_and_yields_to_other_set(write):
    path = write("retrieval: {search: flat, windows: 30}\n")
    config = load_config(path, ["retrieval.tail=spread", "preset=released"])
    assert (config.retrieval.search, config.retrieval.windows, config.retrieval.tail) == ("top_only", 30, "spread")


def test_a_saved_run_can_be_read_under_another_preset(tmp_path):
    """A resolved file names every setting; `hicm predict RUN --set preset=released` must not be void."""
    save_config(load_config(None, ["train.lr=1e-3"]), tmp_path / "config.yaml")
    config = load_config(tmp_path / "config.yaml", ["preset=released"])
    assert config.room.decode.isolated_time_tokens == "keep" and config.train.lr == 1e-3
    save_config(config, tmp_path / "config.yaml")
    plain = load_config(tmp_path / "config.yaml", ["preset="])
    assert plain.preset == "" and plain.room == config.room, "dropping the name changes no value"


def test_released_preset_is_what_the_published_code_does():
    """HiCM2's code: it never leaves the top level, keeps the bank's rounding, reads the memory twice, attends padding,
    sets the rate a step late, keeps stray time tokens, loses the tail of the frames, recalls a video's own captions."""
    config = load_config(None, ["preset=released"])
    assert config.retrieval.search == "top_only"
    assert config.retrieval.precision == "stored"
    assert config.room.objective.denoising_memory == "requeried"
    assert not config.room.mask_padding and not config.retrieval.mask_padding
    assert config.train.schedule_lag
    assert config.room.decode.isolated_time_tokens == "keep"
    assert config.retrieval.tail == "drop"
    assert not config.retrieval.leave_own_out
    default = load_config()
    assert config.data == default.data and config.memory == default.memory and config.evaluate == default.evaluate
    plain = dataclasses.asdict(default) | {"captioner": dataclasses.asdict(default.room)}

    def differs(there, here):
        return all(differs(there[key], value) if isinstance(value, dict) else there[key] != value
                   for key, value in here.items())

    assert differs(plain, PRESETS["released"]), "a preset says what differs"


def test_loading_leaves_presets_and_defaults_alone():
    before, default = copy.deepcopy(PRESETS), load_config()
    load_config(None, ["preset=released", "retrieval.search=flat", "data.annotations.val=x", "data.name=x"])
    assert before == PRESETS and load_config() == default


# nested and odd values

def test_set_reaches_into_mappings(write):
    path = write("data: {annotations: {train: a.json, val: [b.json, c.json]}}\ncaptioner: {t5_config: {d_model: 8}}\n")
    config = load_config(path, ["data.annotations.val=d.json", "captioner.t5_config.num_layers=3",
                                "data.annotations.test=[e.json, f.json]"])
    assert config.data.annotations == {"train": ["a.json"], "val": ["d.json"], "test": ["e.json", "f.json"]}
    assert config.room.t5_config == {"d_model": 8, "num_layers": 3}


@pytest.mark.parametrize("text", ["3e-4", "3.0e-4", ".3e-3", "0.0003", "'3e-4'", "+3e-4", "3E-4"])
def test_numbers_are_numbers(write, text):
    assert load_config(None, [f"train.lr={text}"]).train.lr == 3e-4
    assert load_config(write(f"train:\n  lr: {text}\n")).train.lr == 3e-4
    assert load_config(None, ["captioner.t5_config.dropout_rate=1e-1"]).room.t5_config == {"dropout_rate": 0.1}


@pytest.mark.parametrize(("text", "value"), [
    ("010", 10), ("08", 8), ("-0", 0), ("+12", 12), ("1_000", 1000), ("1e3", 1000), ("1.5e2", 150), ("20.0", 20),
    ("0x10", 16), ("0o20", 16), ("0X10", None), ("0b11", None), ("1:30", None), ("1.5", None), ("1e400", None),
    (".inf", None), ("yes", None), ("on", None), ("null", None), ("~", None), ("'20'", None), ("1,000", None),
    ("10 000", None), ("ten", None), ("1e-3", None)])
def test_whole_numbers_as_people_write_them(write, text, value):
    """YAML 1.1 reads 010 as eight and 1:30 as ninety; a number is never read as another one than was meant."""
    path = write(f"train:\n  seed: {text}\n")
    if value is None:
        refused("train.seed: expected a whole number, found", None, f"train.seed={text}")
        refused("train.seed: expected a whole number, found", path)
    else:
        for config in (load_config(None, [f"train.seed={text}"]), load_config(path)):
            assert config.train.seed == value and type(config.train.seed) is int


@pytest.mark.parametrize(("text", "value"), [(".5", 0.5), ("0.5", 0.5), ("5e-1", 0.5), ("05e-1", 0.5), ("1:30", None),
                                             ("yes", None), ("1", 1.0), ("01", 1.0), ("1.", 1.0), ("0,5", None)])
def test_fractions_as_people_write_them(text, value):
    if value is None:
        refused("train.warmup: expected a finite number, found", None, f"train.warmup={text}")
    else:
        assert load_config(None, [f"train.warmup={text}"]).train.warmup == value


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "1", "0", "null", "'true'", "y"])
def test_true_and_false_are_written_out(text):
    assert load_config(None, ["offline=TRUE"]).offline is True
    refused("offline: expected true or false, found", None, f"offline={text}")


def test_whole_numbers_serve_as_floats_and_text_as_a_list_of_one():
    config = load_config(None, ["train.clip=1", "memory.source=train", "retrieval.levels=[4, 1]"])
    assert config.train.clip == 1.0 and isinstance(config.train.clip, float)
    assert config.memory.source == ["train"] and config.retrieval.levels == [4, 1]


def test_words_of_yaml_stay_words():
    assert load_config(None, ["train.precision=no", "data.train=on"]).train.precision == "no"


def test_nothing_after_a_key_is_the_empty_value(write):
    config = load_config(write("preset:\ntrain:\ndata: {speech: , annotations: }\nevaluate:\n  metrics:\n"))
    assert config == Config()
    assert load_config(write("data: {speech: asr.json}"), ["data.speech="]).data.speech == ""


def test_an_empty_file_is_all_defaults(write):
    assert load_config(write("")) == load_config(write("# nothing\n")) == Config() == load_config()


# what is refused

@pytest.mark.parametrize(("override", "nearest"), [
    ("train.lrr=1", "train.lr"), ("train.epoch=3", "train.epochs"), ("trian.lr=1", "train"),
    ("retreival.windows=3", "retrieval"), ("retrieval.topk=3", "retrieval.top_k"), ("lr=1e-4", "train.lr"),
    ("train.frames=3", "data.frames"), ("window=3", "retrieval.windows"), ("presets=released", "preset"),
    ("data.anotations.val=x", "data.annotations"), ("train.Batch=3", "train.batch")])
def test_unknown_key_names_the_nearest(write, override, nearest):
    message = refused(f"the nearest known one is {nearest}$", None, override)
    assert message.startswith(f"--set {override}: unknown setting ")


def test_unknown_key_of_a_file_names_the_file(write):
    path = write("train:\n  learning_rate: 3\n")
    assert refused("unknown setting train.learning_rate", path).startswith(f"{path}: ")
    assert refused("unknown setting train.lrr", write("train: {lr: 1}"), "train.lrr=1").startswith("--set train.lrr=1")
    refused("unknown setting trian; the nearest known one is train", write("trian:\n"))


@pytest.mark.parametrize(("override", "match"), [
    ("train.lr=fast", "train.lr: expected a finite number, found 'fast'"),
    ("train.lr=nan", "train.lr: expected a finite number"),
    ("train.lr=.inf", "train.lr: expected a finite number"),
    ("train.lr=true", "train.lr: expected a finite number, found True"),
    ("train.lr=", "train.lr: expected a finite number, found None"),
    ("train.epochs=2.5", "train.epochs: expected a whole number, found 2.5"),
    ("train.epochs=true", "train.epochs: expected a whole number"),
    ("train.batch=0", "train.batch: expected 1 or more, found 0"),
    ("train.workers=-1", "train.workers: expected 0 or more, found -1"),
    ("train.warmup=1.5", "train.warmup: expected 0 to 1, found 1.5"),
    ("captioner.memory_dropout=-0.1", "captioner.memory_dropout: expected 0 to 1"),
    ("captioner.time_bins=1", "captioner.time_bins: expected 2 or more"),
    ("captioner.mask_padding=yes", "expected true or false, found 'yes'"),
    ("captioner.mask_padding=1", "expected true or false, found 1"),
    ("data.name=2024", "data.name: expected text .*, found 2024"),
    ("retrieval.search=ascend", "retrieval.search: expected one of 'descend', .*'top_only', 'zero', found 'asc"),
    ("retrieval.search=ascend", "did you mean 'descend'"),
    ("retrieval.read=meen", "retrieval.read: expected one of 'items', 'levels', 'mean', 'weighted', found 'meen'"),
    ("retrieval.read=meen", "did you mean 'mean'"),
    ("retrieval.levels=4", "retrieval.levels: expected a list, found 4; write"),
    ("retrieval.levels=[a]", "retrieval.levels: expected a whole number, found 'a'"),
    ("data.annotations=x.json", "data.annotations: expected a mapping, found 'x.json'"),
    ("data.annotations.val=3", "data.annotations: expected a list, found 3"),
    ("train=3", "train: expected a section of settings, found 3"),
    ("train.lr.x=3", "train.lr: expected a finite number, found"),
    ("train.lr", "expected section.key=value, e.g. --set train.lr=1e-4"),
    ("=3", "unknown setting"),
    ("train.lr=[1", "not valid yaml"),
    ("data.name=2024-13-45", "not valid yaml"),
    ("data.annotations={a: x, a: y}", "a occurs twice"),
    ("preset=relaesed", "preset: expected one of '', 'released', found 'relaesed'"),
    ("preset=[released]", "preset: expected text"),
])
def test_wrong_values_are_refused(write, override, match):
    message = refused(match, None, override)
    assert message.startswith(f"--set {override}: ")
    refused(match, write("train: {lr: 1}\n"), override)


@pytest.mark.parametrize(("text", "match"), [
    ("- train\n- data\n", "expected sections .data:, memory:, ...., found list"),
    ("just words\n", "expected sections .*, found str"),
    ("train:\n  lr: [1\n  batch: 2\n", "line 3: not valid yaml"),
    ("train:\n\tlr: 1\n", "line 2: not valid yaml"),
    ("train: {lr: 1}\ndata: {name: x}\ntrain: {batch: 2}\n", "line 3: not valid yaml .train occurs twice"),
    ("train:\n  lr: 1\n  lr: 2\n", "line 3: not valid yaml .lr occurs twice"),
    ("data: {name: !!python/object/apply:os.getcwd []}\n", "not valid yaml"),
    ("a: 2024-13-45\n", "not valid yaml"),
    ("[" * 1500, "not valid yaml"),
    ("train: 3\n", "train: expected a section of settings, found 3"),
    ("1: 2\n", "unknown setting 1"),
    ("preset: relaesed\n", "preset: expected one of"),
])
def test_broken_files_are_refused(write, text, match):
    path = write(text)
    assert refused(match, path).startswith(str(path))


def test_files_that_cannot_be_read(tmp_path):
    refused("settings file cannot be read .No such file", tmp_path / "none.yaml")
    refused("settings file cannot be read .Is a directory.$", tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("")
    refused("Is a directory.; the settings of this run are in .*run/config.yaml$", tmp_path / "run")
    (tmp_path / "binary.yaml").write_bytes(b"train: \xff\xfe")
    refused("not UTF-8 text .byte 7", tmp_path / "binary.yaml")


def limits(cls, prefix):
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(typing.get_type_hints(cls)[field.name]):
            yield from limits(typing.get_type_hints(cls)[field.name], f"{prefix}.{field.name}")
        elif "limits" in field.metadata:
            yield f"{prefix}.{field.name}", field.default, field.metadata["limits"]


@pytest.mark.parametrize("cls", [*SECTIONS.values(), *map(settings_class, room_names())])
def test_limits_hold_their_defaults(cls):
    for name, default, (low, high) in limits(cls, cls.__name__):
        assert low <= default <= high, name


# names of 0.1.0

def test_former_names_are_read_and_told_in_one_line(write):
    path = write("train: {generative: 2.0, epochs: 3}\npredict: {beams: 1}\n"
                 "captioner: {offline: true, time_bins: 50}\n")
    with pytest.warns(UserWarning) as said:
        config = load_config(path, ["predict.max_tokens=7"])
    assert [str(one.message).partition(": ")[0] for one in said] == [str(path), "--set predict.max_tokens=7"]
    assert (config.room.objective.generative, config.room.decode.beams, config.offline) == (2.0, 1, True)
    assert (config.train.epochs, config.room.time_bins, config.room.decode.max_tokens) == (3, 50, 7)


@pytest.mark.parametrize("former", sorted(FORMER))
def test_every_former_name_leads_to_a_setting(former):
    value = {"train.denoising_memory": "requeried", "predict.isolated_time_tokens": "keep"}.get(former, "1")
    if former in ("captioner.offline", "predict.sample", "predict.grammar", "train.rescale_time_tokens"):
        value = "false" if former == "train.rescale_time_tokens" else "true"
    with pytest.warns(UserWarning, match=f"{former} is now {FORMER[former]}"):
        load_config(None, [f"{former}={value}"])


def test_a_setting_under_both_names_is_refused(write):
    refused("train.generative is the former name of captioner.objective.generative",
            write("train: {generative: 2.0}\ncaptioner: {objective: {generative: 1.0}}\n"))


# systems

def test_the_system_chooses_its_section(write):
    path = write("captioner: {time_bins: 50}\n")
    assert load_config(path).room == settings_class("captioner")(time_bins=50)
    assert load_config(None, ["system=captioner"]) == Config()
    refused("system: expected one of .*captioner.*, found 'captoiner'; did you mean 'captioner'", path,
            "system=captoiner")
    refused("system: expected text", path, "system=[a]")


def test_changes_name_what_differs_from_the_defaults():
    config = load_config(None, ["captioner.decode.beams=2", "captioner.time_bins=50", "train.lr=3e-4"])
    assert changes(config.room) == {"time_bins": 50, "decode.beams": 2} and changes(config.train) == {}


# files of ours

@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_settings_file_round_trips(path, tmp_path):
    for overrides in ([], ["preset=released"]):
        config = load_config(path, overrides)
        save_config(config, tmp_path / "config.yaml")
        again = load_config(tmp_path / "config.yaml")
        assert again == config and digest(dataclasses.asdict(again)) == digest(dataclasses.asdict(config))


def test_settings_files_are_there_and_set_what_their_recipes_say():
    """HiCM2's launch scripts and VidChapters' README: windows, k, epochs, rate, batch; ActivityNet's recipe is ours."""
    recipes = {path.stem: load_config(path) for path in FILES}
    assert recipes.pop("everyday").memory.source == ["everyday.txt"], "a memory only"
    assert {"yc2", "vitt", "anet", "yc2_sim", "parallel_yc2_sim", "moments_charades_sim",
            "moments_tacos_sim"} <= recipes.keys()
    found = {name: (c.retrieval.windows, c.retrieval.top_k, c.train.epochs, c.train.lr, c.train.batch, c.data.select,
                    c.data.report)
             for name, c in recipes.items() if "_sim" not in name and not name.startswith("mesm_")}
    assert found == {"yc2": (10, 10, 20, 3e-4, 2, "val", "val"), "vitt": (30, 30, 20, 3e-4, 2, "dev", "test"),
                     "anet": (10, 10, 10, 3e-4, 2, "val", "val"),
                     "vid2seq_yc2": (10, 10, 40, 3e-4, 2, "val", "val"),
                     "vid2seq_vitt": (10, 10, 20, 3e-4, 2, "dev", "test"),
                     "pretrain_vidchapters": (10, 10, 10, 3e-4, 8, "val", "test"),
                     "pretrain_htm": (10, 10, 5, 3e-4, 8, "", ""),
                     "cm2_yc2": (50, 80, 30, 5e-5, 1, "val", "val"), "cm2_anet": (20, 100, 30, 5e-5, 1, "val", "val"),
                     "pdvc_yc2": (10, 10, 30, 5e-5, 1, "val", "val"), "pdvc_anet": (10, 10, 30, 5e-5, 1, "val", "val")}
    assert all(len(recipes[name].data.annotations["val"]) == 2 for name in ("anet", "cm2_anet", "pdvc_anet")), (
        "ActivityNet Captions has two annotators")
    for name, config in recipes.items():
        own = name.removeprefix("moments_")
        assert config.data.name in (name, own), "derived files lie under the name of the settings file"
        roles = {config.data.train, config.data.select, config.data.report}
        assert roles - ({""} if config.train.eval_every == 0 else set()) <= config.data.annotations.keys()
    pretrained = {name: config for name, config in recipes.items() if name.startswith("pretrain_")}
    assert all((c.train.clip, c.retrieval.search, c.room.init) == (0.1, "none", "") for c in pretrained.values())
    assert recipes["pretrain_htm"].train.schedule == "constant" and recipes["pretrain_htm"].data.target == "speech"
    started = [name for name, config in recipes.items()
               if getattr(config.room, "init", "") == "presave/vid2seq_htmchapters.pth"]
    assert sorted(started) == ["vid2seq_vitt", "vid2seq_yc2", "vitt", "yc2"]
    assert {name for name, c in recipes.items() if c.retrieval.search == "none"} == {
        "vid2seq_yc2", "vid2seq_vitt", "pretrain_htm", "pretrain_vidchapters", "pdvc_yc2", "pdvc_anet"}


def test_bank_folder_follows_the_data_unless_named():
    assert load_config(None, ["data.name=yc2"]).bank == Path("presave/yc2/bank")
    assert load_config(None, ["memory.path=elsewhere"]).bank == Path("elsewhere")


def test_configs_readme_names_every_file():
    text = (ROOT / "configs" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in FILES if f"`{path.name}`" not in text] == []


@settings(deadline=None, max_examples=40)
@given(name=WORDS, splits=st.dictionaries(WORDS, st.lists(WORDS, min_size=1, max_size=2), max_size=3),
       lr=st.floats(0, 1, allow_subnormal=True), seed=st.integers(0, 2**63))
def test_any_settings_survive_saving(tmp_path_factory, name, splits, lr, seed):
    config = Config(data=DataConfig(name=name, annotations=splits), train=TrainConfig(lr=lr, seed=seed))
    path = tmp_path_factory.mktemp("settings") / "config.yaml"
    save_config(config, path)
    assert load_config(path) == config
    assert path.read_text(encoding="utf-8") == config_text(config)


def test_digest_tells_settings_apart():
    one, other = (digest(dataclasses.asdict(load_config(None, [f"train.seed={seed}"]))) for seed in (1, 2))
    assert one != other and len(one) == 8 and digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
