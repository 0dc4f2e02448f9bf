"""A job of the server, as its folder holds it."""

from hicm.server.jobs import read_job

__all__ = ["JOB", "read_job"]

JOB = {"id": "0" * 32, "name": "talk.mp4", "state": "done", "created": "2026-01-02T03:04:05Z", "size": 5, "events": 1,
       "ended": "2026-01-02T03:04:06Z", "duration": 2.5, "warnings": ["a line"]}
