"""A PostgreSQL server of a test's own, which may crash: the shared one must not."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.flows.server import free_port

USER = "postgres"


def _programs() -> Path | None:
    """Where initdb and pg_ctl are: on the PATH, or where Debian keeps them."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).parent
    return max((Path(each).parent for each in glob.glob("/usr/lib/postgresql/*/bin/pg_ctl")), default=None)


def _has_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


PROGRAMS = _programs()
# The server refuses to run as root: there must be somebody else for it to be.
CAN_RUN_A_SERVER = PROGRAMS is not None and (os.geteuid() != 0 or _has_user())


class OwnPostgres:
    """A server with its files in `folder`; everything is flushed to the disk, as in production."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"postgresql://{USER}@127.0.0.1:{self._port}/postgres"

    def create(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self._folder, USER)
        self._run("initdb", "--auth=trust", f"--username={USER}")
        with (self._folder / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self._port}\nunix_socket_directories = '{self._folder}'\n")

    def start(self) -> None:
        self._run("pg_ctl", "--wait", "--log", str(self._folder / "log"), "start")

    def crash(self) -> None:
        """Every process of it ends at once, and nothing is written: the next start recovers from the log."""
        self._run("pg_ctl", "--mode=immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        assert PROGRAMS is not None
        command: Sequence[str] = (str(PROGRAMS / program), "-D", str(self._folder), *arguments)
        user = USER if os.geteuid() == 0 else None
        subprocess.run(command, check=True, user=user, cwd=self._folder, stdout=subprocess.DEVNULL)


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A running server; its files are removed at the end. Another user may not enter a test's `tmp_path`."""
    folder = Path(tempfile.mkdtemp(prefix="passbell-postgres-"))
    server = OwnPostgres(folder)
    try:
        server.create()
        server.start()
        yield server
    finally:
        if (folder / "postmaster.pid").exists():
            server.crash()
        shutil.rmtree(folder)
