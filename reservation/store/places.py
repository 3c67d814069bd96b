"""Where the embedded store of a data directory keeps its files, its socket and its locks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote

from reservation.errors import ConfigurationError

# sun_path holds 108 bytes on Linux and 104 on the BSDs, with the final zero; asyncio and the
# server both refuse more.
MAX_SOCKET_PATH_BYTES = 100
PRIVATE = 0o700


def store_directory(data_dir: Path) -> Path:
    """Name the directory that belongs to the server: files of nobody else are in it."""
    return data_dir.resolve() / "store"


def socket_path(data_dir: Path) -> Path:
    """Name the server's socket: in the data directory, or where that path would be too long.

    Then it is in a private directory under the system's temporary one, named by a digest of the
    data directory; the server's owner records it, so that a process with another TMPDIR finds it.
    """
    directory = store_directory(data_dir)
    near = directory / "store.sock"
    if len(os.fsencode(near)) <= MAX_SOCKET_PATH_BYTES:
        return near
    try:
        return Path(os.fsdecode((directory / "socket").read_bytes()))
    except OSError:
        digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"holdfast-{os.getuid()}-{digest}" / "store.sock"


def socket_url(data_dir: Path) -> str:
    """Name the socket as an address for HOLDFAST_REDIS_URL."""
    return f"unix://{quote(str(socket_path(data_dir)))}"


def make_private(directory: Path) -> None:
    """Create a directory that only we can enter; refuse one that another user could have laid.

    Raises ConfigurationError.
    """
    try:
        directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            message = (
                f"{directory} is not a directory of ours: remove it, or use another --data-dir"
            )
            raise ConfigurationError(message)
        if stat.S_IMODE(found.st_mode) != PRIVATE:
            directory.chmod(PRIVATE)
    except OSError as error:
        message = f"{directory} cannot be used: {error.strerror}; use another --data-dir"
        raise ConfigurationError(message) from error


class Lock:
    """An exclusive flock(2) on a file: gone with the last process that has it open.

    So a lock is never stale, whatever killed its holder. The text in the file is for people.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody holds it; say whether we have it."""
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"{self.path} cannot be opened: {error.strerror}; use another --data-dir"
            raise ConfigurationError(message) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    @property
    def descriptor(self) -> int:
        """Give the open file to hand to a child, which then holds the lock as well."""
        if self._descriptor is None:
            message = f"{self.path} is not locked"
            raise RuntimeError(message)
        return self._descriptor

    def close(self) -> None:
        """Let go; a child that has the file open still holds the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def sign(self, text: str) -> None:
        """Write into the file who holds it."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode(), 0)

    def signature(self) -> str:
        """Read what the holder wrote; empty where it wrote nothing."""
        try:
            return self.path.read_text(errors="replace").strip()
        except OSError:
            return ""
