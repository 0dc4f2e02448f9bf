"""Jobs and their files: ``jobs/<id>`` holds job.json, the video, its captions and the features made of it.

Ids are random and made here.  The name of an uploaded file is only shown: no path is made from it.  Requests name a job
by its id, which is looked up here.
"""

import asyncio
import secrets
import shutil
import unicodedata
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from hicm.errors import UserError
from hicm.files import read_text, write_text

ID = r"^[0-9a-f]{32}$"
State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
LONGEST_NAME = 200  # characters
# Of names: control characters, half characters, line and paragraph separators, and the controls of text direction.
UNSAFE = ("Cc", "Cs", "Zl", "Zp")
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
INVISIBLE = ("Cf", "Mn", "Zs")  # joiners, variation selectors, blanks: kept, but no name without anything else
ATTEMPTS = 2  # a job whose captioning ends the server so often is not begun again


class Progress(BaseModel):
    """The progress of a running job."""

    model_config = ConfigDict(frozen=True)
    stage: str = Field(description="frames, speech, recall, captions or writing, in this order; speech only where the "
                                   "model reads it")
    done: float = Field(default=0, description="seconds of the video (frames, speech), or windows of it (recall, "
                                               "captions)")
    total: float = Field(default=0, description="in the unit of done; 0: not known")


class Job(BaseModel):
    """One video and the state of its captioning."""

    model_config = ConfigDict(frozen=True)
    id: str = Field(pattern=ID)
    name: str = Field(description="of the uploaded file")
    state: State = "queued"
    created: AwareDatetime
    started: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    removed: AwareDatetime | None = Field(default=None, description="when the video and its captions will be removed")
    size: int = Field(default=0, description="bytes of the video")
    media_type: str = "application/octet-stream"
    duration: float | None = Field(default=None, description="seconds; null: the file does not say")
    progress: Progress | None = Field(default=None, description="of a running job")
    events: int | None = Field(default=None, description="how many there are, once done")
    corrected: AwareDatetime | None = Field(default=None, description="when corrected captions were last saved")
    error: str = Field(default="", description="why it failed")
    interrupted: int = Field(default=0, description="how often the server was killed while the job ran")
    warnings: list[str] = Field(default=[], description="what was wrong with the video")


class Jobs:
    """All jobs, oldest first; every change of state is written to disk before it is visible.

    folder: where jobs and uploads are kept; made if needed
    keep: how long a job is kept after its end
    """

    def __init__(self, folder: Path, keep: timedelta) -> None:
        self.folder, self.uploads, self.keep = folder / "jobs", folder / "uploads", keep
        self.lock = asyncio.Lock()  # held while files of a job that has ended are written or removed
        shutil.rmtree(self.uploads, ignore_errors=True)  # uploads that were interrupted when the server was killed
        for path in (self.folder, self.uploads):
            path.mkdir(parents=True, exist_ok=True)
        found = [job for path in self.folder.iterdir() if (job := self._load(path))]
        self._jobs = {job.id: job for job in sorted(found, key=lambda job: (job.created, job.id))}
        for job in found:
            if job.state == "running":  # when the server was killed
                self._interrupted(job)

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._jobs.values()))

    def get(self, job_id: str) -> Job | None:
        """The job of that id, if there is one."""
        return self._jobs.get(job_id)

    def next(self) -> Job | None:
        """The queued job that has waited longest."""
        return next((job for job in self._jobs.values() if job.state == "queued"), None)

    def waiting(self) -> int:
        """How many jobs are queued."""
        return sum(job.state == "queued" for job in self._jobs.values())

    def new_upload(self) -> Path:
        """A new folder for a file that is being received; its name is the id of the later job."""
        path = self.uploads / secrets.token_hex(16)
        path.mkdir()
        return path

    def add(self, upload: Path, name: str, **facts: Any) -> Job:
        """A queued job from the folder of a received video.  Raises UserError when it cannot be written."""
        job = Job(id=upload.name, name=clean_name(name), created=now(), **facts)
        self._write(upload, job)
        upload.rename(self.folder / job.id)
        self._jobs[job.id] = job
        return job

    def change(self, job_id: str, **changes: Any) -> Job:
        """Change fields of a job, on disk too; if the disk is full, the change is lost at the next start."""
        if changes.get("state") in ENDED:
            ended = now()
            changes |= {"ended": ended, "removed": ended + self.keep}
        job = self._jobs[job_id] = self._jobs[job_id].model_copy(update={"progress": None} | changes)
        try:
            self._write(self.path(job_id), job)
        except UserError as error:
            warnings.warn(str(error), stacklevel=2)
        return job

    def corrected(self, job_id: str, events: int) -> Job:
        """Note that corrected captions were saved; the job is kept as long from now on as after its end."""
        at = now()
        return self.change(job_id, corrected=at, removed=at + self.keep, events=events)

    def follow(self, job_id: str, progress: Progress) -> None:
        """Set the progress of a running job; not kept on disk."""
        self._jobs[job_id] = self._jobs[job_id].model_copy(update={"progress": progress})

    async def remove(self, job_id: str, expired: bool = False) -> None:
        """Remove a job and its files; what a killed server leaves of them is removed at the next start.

        expired: only if its time is over now, which a save may have put off since it was listed
        Raises UserError when they cannot be removed; the job stays.
        """
        async with self.lock:
            if expired and job_id not in {job.id for job in self.expired()}:
                return
            try:
                (self.path(job_id) / "job.json").unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"{self.path(job_id)}: cannot be removed ({error.strerror}); check the folder's disk "
                                "and permissions") from error
            self._jobs.pop(job_id, None)
            await asyncio.to_thread(shutil.rmtree, self.path(job_id), ignore_errors=True)

    def expired(self) -> list[Job]:
        """Ended jobs that have been kept long enough."""
        return [job for job in self if job.removed and job.removed <= now()]

    def path(self, job_id: str) -> Path:
        """The folder of a job."""
        return self.folder / job_id

    def video(self, job_id: str) -> Path:
        """The uploaded file."""
        return self.path(job_id) / "video"

    def captions(self, job_id: str) -> Path:
        """The result of the captioner, in hicm's own format; never written again."""
        return self.path(job_id) / "captions.json"

    def corrections(self, job_id: str) -> Path:
        """The captions as they were last saved by a user, in hicm's own format."""
        return self.path(job_id) / "corrected.json"

    def cache(self, job_id: str) -> Path:
        """The folder of features and transcript, kept so that an interrupted job can continue."""
        return self.path(job_id) / "cache"

    def _interrupted(self, job: Job) -> None:
        """Queue a job again, unless it may be what kills the server at every start."""
        count = job.interrupted + 1
        if count < ATTEMPTS:
            self.change(job.id, state="queued", started=None, interrupted=count)
        else:
            self.change(job.id, state="failed", interrupted=count,
                        error=f"the server was killed {count} times while it captioned this video, perhaps for lack of "
                              "memory; to try again, submit it again")

    @staticmethod
    def _write(folder: Path, job: Job) -> None:
        write_text(folder / "job.json", job.model_dump_json(indent=1, exclude={"progress", "removed"}) + "\n")

    def _load(self, folder: Path) -> Job | None:
        """The job of a folder; None where its removal was interrupted, and for folders that are not jobs."""
        if not folder.is_dir() or not is_id(folder.name):
            return None
        if not (folder / "job.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            return None
        try:
            job = read_job(folder / "job.json")
        except UserError as error:
            job = Job(id=folder.name, name="(not known)", created=now(), state="failed", ended=now(), error=str(error))
        ended = min(job.corrected or job.ended or now(), now())
        removed = {"removed": ended + self.keep} if job.state in ENDED else {}
        return job.model_copy(update={"id": folder.name} | removed)


def read_job(path: Path) -> Job:
    """A job as it was written.  Raises UserError for anything else."""
    try:
        return Job.model_validate_json(read_text(path, "job"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: expected a job as hicm serve writes it ({where}: {first['msg']}); submit the video "
                        "again") from error


def is_id(text: str) -> bool:
    """Whether a text has the form of a job id."""
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def clean_name(name: str) -> str:
    """The name of an uploaded file as it is shown: no folders, one line, at most LONGEST_NAME characters.

    Joiners and variation selectors are kept: emoji and several scripts are written with them.

    >>> clean_name("../../etc/pass\\nwd.mp4"), clean_name("")
    ('pass wd.mp4', 'video')
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    text = "".join(" " if unicodedata.category(sign) in UNSAFE or sign in BIDI else sign for sign in last)
    found = " ".join(text.split())[:LONGEST_NAME].strip()
    return found if any(unicodedata.category(sign) not in INVISIBLE for sign in found) else "video"


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)
