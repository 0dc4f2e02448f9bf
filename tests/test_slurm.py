"""The example for SLURM, with stand-ins for its programs, as no cluster is at hand."""

import shutil
from pathlib import Path

import pytest

from tests.sandbox import RECORD, ROOT, Sandbox
from tests.test_scripts import shellcheck

SRUN = RECORD + r"""
shift
for task in 0 1; do SLURM_PROCID=$task SLURM_LOCALID=$task SLURM_NTASKS=2 "$@" || status=$?; done
exit "${status:-0}"
"""
TASK = r"""#!/bin/bash
echo "$MASTER_ADDR $MASTER_PORT $RANK $LOCAL_RANK $WORLD_SIZE: $*" >> "$CALLS"
exit "$STATUS"
"""
SCONTROL = RECORD + '\n[ "$1" = show ] && printf "node7\\nnode8\\n"\nexit 0\n'


@pytest.mark.parametrize(("status", "queued_again"), [(0, False), (2, False), (143, True)])
def test_slurm_queues_what_was_saved_again(tmp_path, status, queued_again):
    sandbox = Sandbox(tmp_path)
    script = shutil.copy(ROOT / "examples" / "slurm_train.sbatch", sandbox.folder / "scripts")
    assert shellcheck(Path(script)) == ""
    for name, text in (("srun", SRUN), ("hicm", TASK), ("scontrol", SCONTROL)):
        sandbox.program(tmp_path / "bin" / name, text)
    done = sandbox.run("slurm_train.sbatch", "yc2", "--set", "data.name=a b", PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin",
                       SLURM_JOB_ID="123456", SLURM_JOB_NODELIST="node[7-8]", STATUS=str(status))
    assert (done.returncode, done.stderr) == (status, "")
    tasks = [call[0] for call in sandbox.calls if call[0].startswith("node7")]
    assert tasks == [f"node7 23456 {task} {task} 2: train yc2 --set data.name=a b" for task in (0, 1)]
    assert (["scontrol", "requeue", "123456"] in sandbox.calls) is queued_again
