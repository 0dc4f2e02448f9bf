"""Fifty jobs, one after the other: memory, open files and files on disk stay as they are."""

import os
from pathlib import Path

import pytest

from hicm.stages.build_memory import build_memory
from tests.memory_data import write_config
from tests.server.serving import OPTIONS, children, serving

JOBS = 50
MB = 1 << 20


def held(pid: int) -> tuple[int, int]:
    """Bytes of memory and open files of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.slow
def test_fifty_jobs(tmp_path, video):
    bank = build_memory(write_config(tmp_path, summariser="medoid"))
    options = OPTIONS | {"memory": str(bank), "encoder": "blocks:32", "cache": str(tmp_path / "cache"),
                         "overrides": ["recall.threshold=-1"]}
    with serving(tmp_path / "data", captioner=options, worker="hicm.server.worker") as server:
        [worker] = children(server.process.pid)
        seen = []
        for number in range(JOBS):
            different = video + (8).to_bytes(4, "big") + b"free" + (8).to_bytes(4, "big") + b"%04d" % number
            assert server.wait(job_id := server.submit(different))["state"] == "done"
            assert server.ask("GET", f"/api/jobs/{job_id}/result?format=html").status == 200
            assert server.ask("GET", f"/api/jobs/{job_id}/video").body == different
            assert server.ask("DELETE", f"/api/jobs/{job_id}").status == 204
            assert children(server.process.pid) == [worker] and not server.left()
            seen.append((*held(server.process.pid), *held(worker)))
        for number in (0, 9, JOBS - 1):
            memory, files, worker_memory, worker_files = seen[number]
            print(f"after job {number + 1}: server {memory / MB:.1f} MB, {files} files; "
                  f"worker {worker_memory / MB:.1f} MB, {worker_files} files")
        assert seen[-1][0] < seen[9][0] + 10 * MB and seen[-1][2] < seen[9][2] + 20 * MB
        assert seen[-1][1] <= seen[9][1] + 1 and seen[-1][3] <= seen[9][3]
