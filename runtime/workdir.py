"""The private folder of one gateway: made, locked, and written without halves."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from runtime.errors import WorkdirError, WorkdirLockedError

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("conf", "logs", "temp", "check")
PRIVATE = 0o700


class Workdir:
    """`path` with conf/, logs/, temp/, check/ and rendered/, all readable by its owner only.

    Raises:
        WorkdirError: it cannot be made or written.
        WorkdirLockedError: another gateway runs in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._make()
        self._lock = self._take_lock()

    @property
    def rendered(self) -> Path:
        """Return the folder that sets are published in."""
        return self.path / "rendered"

    def write(self, name: str, text: str, *, owner: tuple[int, int] | None = None) -> Path:
        """Replace a file at once: readers see the old text or the new one."""
        path = self.path / name
        fresh = path.with_name(f".{path.name}.new")
        try:
            fresh.unlink(missing_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as stream:
                stream.write(text)
                if owner is not None:
                    os.fchown(handle, *owner)
            fresh.replace(path)
        except OSError as error:
            raise WorkdirError(f"{path} cannot be written: {error.strerror}") from None
        return path

    def give_to(self, owner: tuple[int, int]) -> None:
        """Let nginx's workers read: the folders go to the user that they run as."""
        for folder in (self.path, *(self.path / name for name in FOLDERS)):
            os.chown(folder, *owner)

    def release(self) -> None:
        """Let another gateway have the folder."""
        os.close(self._lock)

    def _make(self) -> None:
        try:
            for folder in (self.path, *(self.path / name for name in FOLDERS)):
                folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
                folder.chmod(PRIVATE)
        except OSError as error:
            raise WorkdirError(
                f"work directory {self.path} cannot be made: {error.strerror}"
            ) from None

    def _take_lock(self) -> int:
        path = self.path / "gateway.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise WorkdirError(f"{path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 32, 0).decode().strip() or "unknown"
            os.close(handle)
            raise WorkdirLockedError(
                f"another gateway (pid {holder}) runs in {self.path}: choose another --workdir"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return handle
