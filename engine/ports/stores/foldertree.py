"""Walk a directory from its top by descriptors, through no symbolic link, and say in words what failed.

Never opens a path: each step is one name inside a folder that is open already, so nothing that is renamed or linked
meanwhile leads outside. Neighbour: `directory` is the store that stands on it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.base.errors import Denied, Missing, Refused, RemoteError
from engine.ports.stores.contract import DIGEST_SUFFIX, Stored

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a named pipe would hold whoever opens it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(slots=True)
class Folder:
    """An open folder; `path` is where it was, for words only."""

    fd: int
    path: Path

    def child(self, name: str, *, create: bool = False) -> Folder | None:
        """The folder of that name in it, None when there is none; raises OSError for a file or a link."""
        if create:
            try:
                os.mkdir(name, 0o700, dir_fd=self.fd)
            except FileExistsError:
                pass
            else:
                os.fsync(self.fd)
        try:
            return Folder(os.open(name, _FOLDER, dir_fd=self.fd), self.path / name)
        except FileNotFoundError:
            return None

    def again(self) -> Folder:
        """The same folder with a life of its own."""
        return Folder(os.open(".", _FOLDER, dir_fd=self.fd), self.path)

    def close(self) -> None:
        """Close it; may be done twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def hidden(self, prefix: str, within: str = "") -> Iterator[tuple[Folder, str]]:
        """Every name that begins with a dot, with its folder, whose key would begin with `prefix`."""
        for folder, path, name, _ in _walk(self, prefix, within):
            if name.startswith(".") and (path + name[1:]).startswith(prefix):
                yield folder, name


@contextmanager
def inside(root: Path) -> Iterator[Folder]:
    """The top folder; raises Refused (NoDirectory) when there is none."""
    try:
        top = Folder(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), root)
    except (FileNotFoundError, NotADirectoryError):
        text = "there is no such directory; create it, or mount the volume that is to be there"
        raise Refused(text, source=str(root), sent="no", code="NoDirectory") from None
    try:
        yield top
    finally:
        top.close()


def opened(folder: Folder, name: str) -> int | None:
    """A descriptor of a regular file, None when nothing has that name; raises OSError for anything else."""
    try:
        file = os.open(name, _FILE, dir_fd=folder.fd)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.ELOOP, "not a regular file", name)
    return file


def files(top: Folder, prefix: str) -> Iterator[Stored]:
    """Every file below `top` that is no digest and not hidden, in the order of keys."""
    for _, path, name, facts in _walk(top, prefix, ""):
        key = path + name
        if not name.startswith(".") and not name.endswith(DIGEST_SUFFIX) and key.startswith(prefix):
            yield Stored(key, facts.st_size, None, facts.st_mtime)


def _walk(folder: Folder, prefix: str, within: str) -> Iterator[tuple[Folder, str, str, os.stat_result]]:
    """(folder, its path with a slash, name, facts) of all regular files where the prefix may be met."""
    entries = []
    with os.scandir(folder.fd) as found:
        for each in found:
            with suppress(FileNotFoundError):
                name = each.name + "/" if each.is_dir(follow_symlinks=False) else each.name
                entries.append((name, each.stat(follow_symlinks=False)))
    for name, facts in sorted(entries, key=lambda entry: entry[0].encode("utf-8", "surrogateescape")):
        path = within + name
        if stat.S_ISREG(facts.st_mode):
            yield folder, within, name, facts
        elif name.endswith("/") and not name.startswith(".") and _may_meet(path, prefix):
            deeper = folder.child(name[:-1])
            if deeper is not None:
                try:
                    yield from _walk(deeper, prefix, path)
                finally:
                    deeper.close()


def _may_meet(path: str, prefix: str) -> bool:
    return path.startswith(prefix) or prefix.startswith(path)


@contextmanager
def failures(operation: str, root: Path) -> Iterator[None]:
    """What the system said, as a RemoteError: NoSpace, Denied, InvalidKey or StoreFailed."""
    try:
        yield
    except OSError as error:
        raise _of_system(error, operation, root) from None


def _of_system(error: OSError, operation: str, root: Path) -> RemoteError:
    text = error.strerror or str(error)
    kind: type[RemoteError] = RemoteError
    code = "StoreFailed"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        code, text = "NoSpace", f"{text}; nothing was published"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        kind, code = Denied, "Denied"
    elif error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR):
        kind, code, text = Refused, "InvalidKey", f"{text}: no file can be kept under this key"
    elif error.errno == errno.ENOENT:
        kind, code = Missing, "NotFound"
    return kind(text, source=str(root), operation=operation, sent="yes", code=code)
