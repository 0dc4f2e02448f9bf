"""`hicm download`: plan what is missing, check the disk, fetch, verify, record; or verify what is there."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hicm.data.catalogue import CATALOGUE, KINDS, Item
from hicm.data.hub.records import Digests, Record, Records, digest_file
from hicm.data.hub.sources import Missing, Remote, Source, open_source, part_path
from hicm.errors import UserError
from hicm.locks import holding

MARGIN = 1.05  # free space required, relative to what is fetched


@dataclass(frozen=True)
class Row:
    """One file of a plan; ``state`` in words, ``to_fetch`` in bytes (None: unknown)."""

    item: Item
    size: int | None  # bytes
    exact: bool  # the size is that of the file or from the server, not from the catalogue
    state: str
    remote: Remote | None = None
    why: str = ""  # the source's reason when it does not have the file
    to_fetch: int | None = 0
    ok: bool = True


@dataclass(frozen=True)
class Report:
    """A plan (dry run), or what was found and done; prints as a table."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every needed file is there or can be fetched."""
        return all(row.ok for row in self.rows)

    def __str__(self) -> str:
        table = [("file", "kind", "size", "state")]
        table += [(row.item.target, row.item.kind + ("" if row.item.needed else " (optional)"),
                   ("" if row.exact or row.size is None else "~") + human(row.size), row.state) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(text.rjust(width) if i == 2 else text.ljust(width)
                           for i, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip()
                 for line in table]
        return "\n".join([*lines, *self.notes])


def human(size: int | None) -> str:
    """A number of bytes for people.

    >>> human(999), human(1_234_567), human(3_500_000_000), human(None)
    ('999 B', '1.2 MB', '3.5 GB', '?')
    """
    if size is None:
        return "?"
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 10 ** power:
            return f"{size / 10 ** power:.1f} {unit}"
    return f"{size} B"


def download(dataset: str, out: str | Path = ".", only: Sequence[str] = (), source: str = "", revision: str = "main",
             dry_run: bool = False, accept_changes: bool = False) -> Report:
    """Fetch the released files of a data set (`hicm.data.catalogue`) that are not yet under ``out``.

    ``source``: '' for the authors' repositories, or a folder or URL laid out like them.  Files that are there are read
    and compared with data/checksums.json; those without a record get one.  Raises UserError when a file has changed
    since it was recorded (unless ``accept_changes``), when another command is fetching the same data set, when the disk
    is too small (before anything is fetched), and when a needed file cannot be fetched; what arrived is kept and the
    same call continues.
    """
    items = choose(dataset, only)
    folder = Path(out)
    records = Records(folder)
    here = [item for item in items if (folder / item.target).is_file()]
    absent = [item for item in items if item not in here]
    rows = {item: _glance(item, folder, records) for item in here} if dry_run \
        else _verify(here, folder, records, accept_changes)
    notes = []
    if absent:
        opened = open_source(source, revision)
        planned = _plan(absent, folder, opened, bool(only), dry_run)
        notes = _space(list(planned.values()), folder, dry_run)
        if not dry_run:
            with holding(folder / "data" / f".{dataset}.lock", "hicm download"):
                planned = {item: _fetch(row, folder, opened, records) for item, row in planned.items()}
        rows |= planned
    ordered = [rows[item] for item in items]
    return Report(tuple(ordered), (*notes, *_closing(ordered, dataset, folder, dry_run)))


def choose(dataset: str, only: Sequence[str] = ()) -> list[Item]:
    """The files of a data set in the catalogue, of the kinds ``only`` (empty: all)."""
    if dataset not in CATALOGUE:
        raise UserError(f"download {dataset}: released files are known for {' and '.join(CATALOGUE)} only; "
                        "data/README.md says where to get other data")
    for kind in only:
        if kind not in KINDS:
            raise UserError(f"download --only {kind}: expected some of {', '.join(KINDS)}")
    return [item for item in CATALOGUE[dataset] if not only or item.kind in only]


def _glance(item: Item, folder: Path, records: Records) -> Row:
    """A file that is there, checked by its size only."""
    size, record = (folder / item.target).stat().st_size, records.get(item.target)
    if record is not None and record.size != size:
        return Row(item, size, True, f"changed since it was fetched on {record.fetched[:10]}", ok=False)
    return Row(item, size, True, "here" if record else "here, not yet recorded")


def _verify(items: Sequence[Item], folder: Path, records: Records, accept: bool) -> dict[Item, Row]:
    """Files that are there, read and compared with their record; recorded if they have none, or with ``accept``."""
    rows, changed = {}, []
    for item in items:
        digests, record = digest_file(folder / item.target), records.get(item.target)
        state = "ok"
        if record is None and not digests.matches(item.git):
            state = "recorded; not the released file"
        elif record is None:
            state = "recorded as it is here"
        elif record.sha256 != digests.sha256:
            changed.append((item, record))
            state = "changed, and accepted"
        if record is None or (record.sha256 != digests.sha256 and accept):
            records.put(item.target, digests, "found here", "")
        rows[item] = Row(item, digests.size, True, state)
    if changed and not accept:
        (first, record), others = changed[0], len(changed) - 1
        more = f" (and so did {others} more: {', '.join(item.target for item, _ in changed[1:])})" if others else ""
        raise UserError(f"{folder / first.target}: changed since it was fetched on {record.fetched[:10]}{more}; remove "
                        "it to fetch it again, or use --accept-changes")
    return rows


def _plan(items: Sequence[Item], folder: Path, source: Source, asked: bool, dry_run: bool) -> dict[Item, Row]:
    """What the source says about files that are not here; optional ones may be missing there too."""
    rows: dict[Item, Row] = {}
    silent: dict[str, UserError] = {}  # hosts that do not answer
    for item in items:
        try:
            if item.host in silent:
                raise silent[item.host]
            remote = source.look(item)
        except UserError as error:
            wanted = asked or item.needed
            if wanted and not dry_run:
                raise
            rows[item] = _unavailable(item, error, wanted)
            if not isinstance(error, Missing):
                silent[item.host] = error  # not asked again
            continue
        part = part_path(folder / item.target, remote)
        have = part.stat().st_size if part.exists() and remote.version else 0
        rest = None if remote.size is None else max(remote.size - have, 0)
        state = "to fetch" if not have else f"to fetch, {human(have)} of it are here"
        rows[item] = Row(item, remote.size, remote.size is not None, state, remote, "", rest)
    return rows


def _unavailable(item: Item, error: UserError, wanted: bool) -> Row:
    guess = None if item.gigabytes is None else round(item.gigabytes * 1e9)
    if isinstance(error, Missing):
        return Row(item, guess, False, "not at the source", None, str(error), 0, ok=not wanted)
    return Row(item, guess, False, "to fetch; the source does not answer", None, str(error), guess)


def _space(rows: Sequence[Row], folder: Path, dry_run: bool) -> list[str]:
    """Needed and free space, one line per disk (data/ or presave/ may be links to another disk).

    Raises UserError when there is too little, except in a dry run.
    """
    disks: dict[int, tuple[Path, list[Row]]] = {}
    for row in rows:
        place = (folder / row.item.target).parent.absolute()
        while not place.exists():
            place = place.parent
        disks.setdefault(place.stat().st_dev, (place, []))[1].append(row)
    lines = []
    for place, own in disks.values():
        needed, free = round(MARGIN * sum(row.to_fetch or 0 for row in own)), shutil.disk_usage(place).free
        if needed > free and not dry_run:
            raise UserError(f"{place}: {human(needed)} are needed (5 % to spare) and {human(free)} are free; free "
                            "space, choose another --out, or fetch less with --only")
        unknown = " and files of unknown size" if any(row.to_fetch is None for row in own) else ""
        if needed or unknown:
            lines.append(f"disk of {place}: {human(needed)}{unknown} needed (5 % to spare), {human(free)} free"
                         + ": too little" * (needed > free))
    return lines


def _fetch(row: Row, folder: Path, source: Source, records: Records) -> Row:
    if row.remote is None:
        return replace(row, state="optional, not fetched")
    target, old = folder / row.item.target, records.get(row.item.target)
    digests = source.bring(row.item, row.remote, target)
    records.put(row.item.target, digests, row.remote.where, row.remote.revision)
    return replace(row, size=digests.size, exact=True, state=_arrived(row.item, old, digests))


def _arrived(item: Item, old: Record | None, digests: Digests) -> str:
    if not digests.matches(item.git):
        return "fetched; not the released file"
    if old is not None and old.sha256 != digests.sha256:
        return f"fetched; another version than that of {old.fetched[:10]}"
    return "fetched"


def _closing(rows: Sequence[Row], dataset: str, folder: Path, dry_run: bool) -> list[str]:
    """Reasons, and what to do next."""
    notes = list(dict.fromkeys(row.why for row in rows if row.why))
    for row in rows:
        if row.item.kind == "memory" and row.state == "fetched":
            notes.append(f"next: hicm memory import {folder / row.item.target} "
                         f"{folder / 'presave' / dataset / 'bank'} --encoder openclip:ViT-L-14/openai")
    there = [row for row in rows if row.remote is not None or not row.why]
    if not dry_run:
        notes.append(f"ok: {len(there)} files, {human(sum(row.size or 0 for row in there))}")
    return notes
