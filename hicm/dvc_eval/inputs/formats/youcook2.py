"""The file of annotations that YouCook2 distributes, youcookii_annotations_trainval.json; and others of its form."""

from collections import Counter
from collections.abc import Mapping

from hicm.dvc_eval.inputs.reading import Reading
from hicm.errors import UserError
from hicm.source import Source
from hicm.values import kind_of

FORM = '{"database": {video: {"duration", "subset", "annotations": [{"segment": [start, end], "sentence"}]}}}'
SIDE = "references"
SUBSETS = True  # --reference-format youcook2:validation reads one subset only


def matches(source: Source) -> bool:
    """Whether there is a database of videos."""
    return isinstance(source.data, Mapping) and isinstance(source.data.get("database"), Mapping)


def read(source: Source, reading: Reading, subset: str = "") -> None:
    """The videos of a subset, or all with a note."""
    entries = source.data["database"]
    subsets = Counter(str(entry.get("subset", "")) for entry in entries.values() if isinstance(entry, Mapping))
    if subset and subset not in subsets:
        raise UserError(f"{source.where}: no video of subset {subset!r}; found {', '.join(map(repr, subsets))}")
    if len(subsets) > 1 and not subset:
        counts = ", ".join(f"{count} {name}" for name, count in subsets.items())
        reading.notes.append(f"videos of several subsets are read ({counts}); one alone: --reference-format "
                             f"youcook2:{'validation' if 'validation' in subsets else next(iter(subsets))}")
    for video, entry in entries.items():
        where = f"{source.where}: video {video}"
        if not isinstance(entry, Mapping) or not isinstance(entry.get("annotations"), list):
            raise UserError(f"{where}: expected {{'annotations': [..]}}, found {kind_of(entry)}")
        if subset and entry.get("subset", "") != subset:
            continue
        name = reading.video(video, entry.get("duration"))
        for index, event in enumerate(entry["annotations"]):
            for key in ("segment", "sentence"):
                if not isinstance(event, Mapping) or key not in event:
                    found = ", ".join(map(repr, event)) if isinstance(event, Mapping) else kind_of(event)
                    raise UserError(f"{where}, event {index}: no key {key!r}; found {found or 'none'}")
            reading.add(name, event["segment"], event["sentence"])
