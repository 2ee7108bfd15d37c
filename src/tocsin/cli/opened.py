"""The data folder or a running server, as commands reach them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.bootstrap import Application
    from tocsin.client import Destination
    from tocsin.config import Config

TENANT = "default"
_START_IT = "start it, name another with --url, or use --data where the command has it"


def config_of(config: Path | None, data: Path | None, **options: Any) -> Config:
    """The configuration with the options of the command line, which win; names use _ for the dot."""
    from tocsin.config import load_config, with_options

    said = {name.replace("_", ".", 1): value for name, value in options.items()}
    return with_options(load_config(config), {"data": data, **said})


def require_folder(config: Config) -> None:
    """InvalidInputError if nothing is stored: who asks about a folder means one that has something in it."""
    from tocsin.errors import InvalidInputError

    if not (config.data / "log").is_dir():
        raise InvalidInputError(
            f"{config.data} is no data folder of Tocsin: name one with --data, "
            "or ask a server with --url where the command has it",
            field="data",
        )


@contextmanager
def opened(config: Config, command: str = "", *, corrects: bool = False) -> Iterator[Application]:
    """The data folder, recovered and with all that was acknowledged processed, without a web server.

    Nothing is appended to the log, except corrections where the command `corrects`: the settings last logged
    stay in force whatever `config` says, and dumps that wait for detectors go on waiting.

    InvalidInputError if there is none; StorageUnavailableError if it is in use, with `command` as it asks
    the server, where it can.
    """
    from tocsin.bootstrap import Application
    from tocsin.observability.logging import configure_logging
    from tocsin.runtimes.embedded.decisions import Decides
    from tocsin.storage.lock import FolderInUseError

    require_folder(config)
    configure_logging("warning", "console")
    try:
        application = Application(config, decides=Decides.CORRECTIONS if corrects else Decides.NOTHING)
    except FolderInUseError as error:
        if not command:
            raise
        asked = f'{command} --url {_reachable(error.told) or _address(config)} --token "$TOCSIN_TOKEN"'
        raise FolderInUseError(
            f"{config.data} is in use by a running Tocsin; ask it: {asked}; or stop it first"
        ) from error
    try:
        application.runtime.start()
        wait_until_caught_up(application)
        yield application
    finally:
        application.stop()


def _reachable(address: str) -> str:
    """From this machine, where a server listens on all its addresses.

    >>> _reachable("http://0.0.0.0:8765")
    'http://127.0.0.1:8765'
    """
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _address(config: Config) -> str:
    """Where a server with this configuration listens; which port 0 became, only it can tell."""
    http = config.http
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(http.host, http.host)  # noqa: S104 - not bound
    scheme = "https" if http.tls_cert else "http"
    return f"{scheme}://{host}:{http.port or 'PORT'}"


def wait_until_caught_up(application: Application, *, corrected: bool = False) -> None:
    """Block until all that is acknowledged is processed and folded, with `corrected` also corrected."""
    clock, runtime = application.clock, application.runtime
    while runtime.failure is None:
        pending = corrected and any(runtime.views.digest(t).pending for t in application.access.tenants())
        if runtime.caught_up() and not pending:
            return
        clock.sleep(0.05)


def ask(
    server: Destination, method: str, path: str, *, if_match: str | None = None, **request: Any
) -> dict[str, Any]:
    """The server's answer as an object; a refusal is the error it names, absence UnavailableError."""
    import httpx

    from tocsin.client import RefusedError, UnavailableError, unreached
    from tocsin.errors import TocsinError

    trusted = server.tls_context()
    try:
        headers = {"Authorization": f"Bearer {server.token}"}
        headers |= {} if if_match is None else {"If-Match": if_match}
        address = server.url.rstrip("/") + path
        response = httpx.request(method, address, headers=headers, timeout=120, verify=trusted, **request)
        answer: dict[str, Any] = response.json() if response.content else {}
    except httpx.TransportError as error:
        raise UnavailableError(f"{unreached(server.url, error)}: {_START_IT}") from error
    except ValueError as error:
        raise UnavailableError(f"{server.url} does not answer as Tocsin does") from error
    if response.is_success:
        return answer
    code, detail = answer.get("code", "refused"), answer.get("detail", response.reason_phrase)
    if response.status_code in {429, 503}:
        raise UnavailableError(f"{code}: {detail}")
    # the same error as if this process had found it, so that output and exit code are the same
    known = {kind.code: kind for kind in TocsinError.__subclasses__() if kind.__module__ == "tocsin.errors"}
    refusal = known.get(code, RefusedError)(detail, field=answer.get("field"))
    refusal.code = code  # also one that only services know, such as not_responsible
    raise refusal
