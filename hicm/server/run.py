"""Start the server and shut it down in order."""

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
import warnings
import webbrowser
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hicm.errors import UserError
from hicm.interrupts import NUMBERS, Interrupted
from hicm.locks import holding
from hicm.server.settings import Settings

if TYPE_CHECKING:
    from hicm.server.jobs import Jobs

CONNECTIONS = 256  # at one time
GRACE = 2  # seconds that open requests get at shutdown
HEADERS = 64 << 10  # bytes of a request's headers


def serve(settings: Settings, browser: bool = False) -> None:
    """Serve until a signal comes.

    browser: open the page in the user's web browser
    Raises UserError when the port is taken, the folder is in use, or the models cannot be loaded.
    """
    _check_installed()
    with _listening(settings) as listener, holding(settings.data / ".lock", "hicm serve"):
        asyncio.run(_serve(replace(settings, port=listener.getsockname()[1]), listener, browser))


def _check_installed() -> None:
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError("hicm serve needs FastAPI and uvicorn; install them: pip install 'hicm[serve]'") from error


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """A listening socket.  Raises UserError when the address or the port cannot be used."""
    host, port = settings.host, settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, OverflowError) as error:
        raise UserError(f"--host {host} --port {port}: no address of this machine ({error}); try 127.0.0.1") from error
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(128)
        except OSError as error:
            raise UserError(f"--port {port}: cannot be used on {host} ({error.strerror}); choose another, or 0 for any "
                            "that is free") from error
        yield listener


async def _serve(settings: Settings, listener: socket.socket, browser: bool) -> None:
    import uvicorn

    from hicm.server.app import make_app
    from hicm.server.connections import closing_after
    from hicm.server.jobs import Jobs
    from hicm.server.supervisor import Supervisor

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:  # signals are handled here
            yield

    jobs = Jobs(settings.data, settings.keep)
    supervisor = Supervisor(jobs, settings)
    server = Server(uvicorn.Config(
        make_app(settings, jobs, supervisor), http=closing_after(settings.idle), ws="none", lifespan="off",
        loop="asyncio", log_level="error", access_log=False, server_header=False, proxy_headers=False,
        limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=GRACE, h11_max_incomplete_event_size=HEADERS))
    loading = asyncio.create_task(supervisor.start())
    signalled: list[int] = []

    def stop(number: int) -> None:
        signalled.append(number)
        server.force_exit, server.should_exit = server.should_exit, True
        loading.cancel()

    for number in NUMBERS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        print("loading the models ...", file=sys.stderr)
        await asyncio.wait([loading])
        if not signalled:
            loading.result()
            _announce(settings, browser)
            await _until_one_ends(server.serve([listener]), supervisor.run(), _remove_expired(jobs, settings.check))
    finally:
        await supervisor.close()
        shutil.rmtree(jobs.uploads, ignore_errors=True)
    if signalled:
        raise Interrupted(signalled[0])


async def _until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Run all at once until one ends, then cancel the others.  Raises what it raised, so that no bug is hidden."""
    tasks = [asyncio.create_task(one) for one in work]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()


def _announce(settings: Settings, browser: bool) -> None:
    from hicm.server.guard import is_loopback

    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(settings.host, settings.host)
    shown = f"[{shown}]" if ":" in shown else shown
    url = f"http://{shown}:{settings.port}/{f'?token={settings.token}' if settings.token else ''}"
    if not is_loopback(settings.host):
        who = "who knows the token" if settings.token else "who can reach this machine"
        print(f"hicm: warning: everyone {who} can submit videos and see all jobs, and the connection is not "
              f"encrypted{'' if settings.token else '; require a token with --token'}", file=sys.stderr)
    print(f"open {url}  (Ctrl-C ends the server; its queue is kept)", flush=True)
    if browser:
        webbrowser.open(url)


async def _remove_expired(jobs: "Jobs", check: float) -> None:
    while True:
        for job in jobs.expired():
            try:
                await jobs.remove(job.id, expired=True)
            except UserError as error:
                warnings.warn(str(error), stacklevel=2)
        await asyncio.sleep(check)
