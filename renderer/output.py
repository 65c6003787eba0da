"""Publication of a rendered set: readers see the old set or the new one, never a mix.

    DIR/.set-<digest12>/    the files and manifest.json, written and synced before they get the name
    DIR/.current            symlink to the set in force; replacing it is the one moment of change
    DIR/apisix.yaml ...     symlinks into .current, made once

A process that is killed leaves the old set in force and perhaps leftovers, which the next run
removes. Runs exclude each other by a lock on DIR/.lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from renderer.errors import PublicationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ENGINE = "apisix 3.18.0"
MANIFEST = "manifest.json"
CURRENT = ".current"
SET_PREFIX = ".set-"
LOCK = ".lock"
NEW_SET = ".new-set"
NEW_LINK = ".new-link"
DIGEST_CHARS = 12


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that the engine's workers run as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """A set on disk: its digest, its folder, and whether this run put it in force."""

    digest: str
    directory: Path
    changed: bool


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return the sha256 hex over name, NUL, sha256 hex of the content, line end; by name."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return total.hexdigest()


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest: digests and sizes, no time and no secret."""
    content = {
        "format": 1,
        "generator": f"azure-ai-gateway {version('azure-ai-gateway')}",
        "engine": ENGINE,
        "digest": digest_of(files),
        "files": {
            name: {
                "sha256": hashlib.sha256(files[name]).hexdigest(),
                "bytes": len(files[name]),
            }
            for name in sorted(files)
        },
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def publish(files: Mapping[str, bytes], out_dir: Path, owner: Owner | None = None) -> PublishedSet:
    """Put a set of files in force; the same set again touches nothing.

    Args:
        files: name and content of each file, without the manifest.
        out_dir: the folder; it is made when it is not there.
        owner: who has to read the files when it is not this user (root only).

    Raises:
        PublicationError: the folder cannot be written, or holds files that are not ours.

    """
    try:
        out_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if owner:
            os.chown(out_dir, owner.uid, owner.gid)
        with _locked(out_dir):
            return _publish(files, out_dir, owner)
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else str(out_dir)
        raise PublicationError(f"could not write {where}: {error.strerror or error}") from error


def _publish(files: Mapping[str, bytes], out_dir: Path, owner: Owner | None) -> PublishedSet:
    digest = digest_of(files)
    target = out_dir / f"{SET_PREFIX}{digest[:DIGEST_CHARS]}"
    previous = _current(out_dir)
    content = {**files, MANIFEST: manifest_of(files)}
    _refuse_foreign(out_dir, content)
    if previous == target and _holds(target, content) and _links_stand(out_dir, content):
        return PublishedSet(digest, target, changed=False)
    _remove_leftovers(out_dir)
    if previous == target:
        _repair(target, content, owner)
    elif not _holds(target, content):
        shutil.rmtree(target, ignore_errors=True)
        _write_set(out_dir, target, content, owner)
    if previous and previous != target:
        _make_newer(target / "apisix.yaml", previous / "apisix.yaml")
    for name in content:
        _link(out_dir, name, f"{CURRENT}/{name}")
    _link(out_dir, CURRENT, target.name)
    _sync(out_dir)
    _remove_old_sets(out_dir, {target, previous})
    return PublishedSet(digest, target, changed=True)


@contextmanager
def _locked(out_dir: Path) -> Iterator[None]:
    handle = os.open(out_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _current(out_dir: Path) -> Path | None:
    """Return the set in force, or None when there is none."""
    try:
        target = out_dir / os.readlink(out_dir / CURRENT)  # noqa: PTH115
    except OSError:
        return None
    return target if target.is_dir() else None


def _refuse_foreign(out_dir: Path, names: Mapping[str, bytes]) -> None:
    for name in (*names, CURRENT):
        path = out_dir / name
        if os.path.lexists(path) and not path.is_symlink():
            raise PublicationError(
                f"{path} is there and is not ours; remove it or choose another folder with --out"
            )


def _holds(target: Path, content: Mapping[str, bytes]) -> bool:
    try:
        return all((target / name).read_bytes() == data for name, data in content.items())
    except OSError:
        return False


def _links_stand(out_dir: Path, names: Mapping[str, bytes]) -> bool:
    return all(_points(out_dir / name, f"{CURRENT}/{name}") for name in names)


def _points(path: Path, target: str) -> bool:
    return path.is_symlink() and os.readlink(path) == target  # noqa: PTH115


def _write_set(
    out_dir: Path, target: Path, content: Mapping[str, bytes], owner: Owner | None
) -> None:
    fresh = out_dir / NEW_SET
    fresh.mkdir(mode=0o700)
    fresh.chmod(0o700)
    if owner:
        os.chown(fresh, owner.uid, owner.gid)
    for name, data in content.items():
        _write_file(fresh / name, data, owner)
    _sync(fresh)
    fresh.rename(target)
    _sync(out_dir)


def _repair(target: Path, content: Mapping[str, bytes], owner: Owner | None) -> None:
    """Give the set in force its own content back, file by file."""
    for name, data in content.items():
        path = target / name
        if not path.is_file() or path.read_bytes() != data:
            fresh = target / f".{name}"
            fresh.unlink(missing_ok=True)
            _write_file(fresh, data, owner)
            fresh.replace(path)
    _sync(target)


def _write_file(path: Path, data: bytes, owner: Owner | None) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # the mode given to open is cut by the umask
        os.fchmod(handle, 0o600)
        if owner:
            os.fchown(handle, owner.uid, owner.gid)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_newer(path: Path, old: Path) -> None:
    """Move a file's time past another's by whole seconds: that is how APISIX sees a change."""
    try:
        least = int(old.stat().st_mtime) + 1
    except FileNotFoundError:
        return
    if int(path.stat().st_mtime) < least:
        os.utime(path, (least, least))


def _link(out_dir: Path, name: str, target: str) -> None:
    path = out_dir / name
    if _points(path, target):
        return
    fresh = out_dir / NEW_LINK
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_leftovers(out_dir: Path) -> None:
    shutil.rmtree(out_dir / NEW_SET, ignore_errors=True)
    (out_dir / NEW_LINK).unlink(missing_ok=True)


def _remove_old_sets(out_dir: Path, keep: set[Path | None]) -> None:
    for path in out_dir.glob(f"{SET_PREFIX}*"):
        if path not in keep:
            shutil.rmtree(path, ignore_errors=True)


def read_published(out_dir: Path) -> tuple[PublishedSet, dict[str, bytes]]:
    """Return the set in force and its files, checked against its manifest.

    Raises:
        PublicationError: there is no set, or its files are not the ones of the manifest.

    """
    directory = _current(out_dir)
    if directory is None:
        raise PublicationError(
            f"{out_dir} holds no rendered set; run render-config --out {out_dir}"
        )
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
        files = {name: (directory / name).read_bytes() for name in manifest["files"]}
        digest = manifest["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PublicationError(f"{directory} is not a whole set; render it again") from error
    if digest_of(files) != digest:
        raise PublicationError(f"{directory} does not match its manifest; render it again")
    return PublishedSet(digest, directory, changed=False), files
