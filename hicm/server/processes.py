"""Python processes beside the server."""

import asyncio
import os
import sys
from typing import Any


async def start_python(module: str, *arguments: str, **options: Any) -> asyncio.subprocess.Process:
    """``python -m MODULE`` with the import path of this process, without the current folder.

    It leads a process group of its own, so that Ctrl-C reaches the server only.  ``options`` are those of
    `asyncio.create_subprocess_exec`.
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TQDM_DISABLE": "1"}
    return await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", module, *arguments, env=env,
                                                start_new_session=True, **options)
