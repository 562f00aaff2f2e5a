"""Notice that rule files changed, load what they say now, and tell what is wrong with it.

Looks at the files every two seconds, through whatever links they hang on: a mounted ConfigMap swaps its `..data`. A
change counts once two looks in a row found the same, so that files which are still being written are left alone. Rules
with a mistake are told and never taken; the ones in use stay. Never touches a running engine: whoever owns it takes
`offered` when its passes may end. Neighbours: `ruleset.load` loads, `app` takes, `measure` and `health` tell.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from engine.base.errors import EngineError
from engine.ruleset.errors import RuleErrors
from engine.ruleset.model import RuleSet

log = logging.getLogger(__name__)

_LOOK_S: Final = 2.0
_Seen = tuple[tuple[str, int, int, int], ...]
"""Path, inode, time of the last change and size of each file."""


class RuleFiles:
    """The files of the rules in use. `start` begins to look, `stop` ends it."""

    def __init__(
        self,
        paths: Sequence[Path],
        load: Callable[[], RuleSet],
        *,
        look_s: float = _LOOK_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Loads the rules; raises RuleErrors. `load` reads `paths`."""
        self._paths = tuple(paths)
        self._load = load
        self._look_s = look_s
        self._wall = wall
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rules", daemon=True)
        # Looked at before they are read: what changes meanwhile is a change.
        self._judged = self._seen = self._look()
        self.rules = load()
        """The rules in use."""
        self.loaded_at = wall()
        """When the rules in use were loaded, in seconds since 1970."""
        self.trouble: str | None = None
        """Why the files as they are now are not in use; None when they are, or are about to be."""
        self.offered: RuleSet | None = None
        """What the files say now, when it is good and is not in use."""

    def start(self) -> None:
        """Look at the files from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def take(self, rules: RuleSet) -> RuleSet:
        """Put `rules`, which were offered, in the place of those in use; returns the former ones."""
        former, self.rules, self.loaded_at = self.rules, rules, self._wall()
        if self.offered is rules:
            self.offered = None
        return former

    def put_back(self, former: RuleSet, why: str) -> None:
        """The rules in use cannot be worked with after all: the former ones are again."""
        self.trouble = f"the rules of revision {self.rules.digest} could not be started: {why}"
        log.error("%s; those of revision %s stay in use", self.trouble, former.digest)
        self.rules, self.loaded_at = former, self._wall()

    def note(self) -> str | None:
        """What is worth knowing about the files, for /readyz."""
        return self.trouble

    def _watch(self) -> None:
        while not self._stopping.wait(self._look_s):
            try:
                self._turn()
            except Exception:
                log.exception("the rule files could not be looked at")

    def _turn(self) -> None:
        before, self._seen = self._seen, self._look()
        if self._seen == self._judged or self._seen != before:
            return
        self._judged = self._seen
        try:
            found = self._load()
        except (EngineError, OSError) as error:
            self.offered = None
            self.trouble = _first(error)
            log.warning(
                "changed rules are not taken, those of revision %s stay:\n%s", self.rules.digest, error
            )
            return
        if self.trouble is not None:
            log.info("the rule files are without a mistake again")
        self.trouble = None
        self.offered = None if found.digest == self.rules.digest else found
        if self.offered is not None:
            log.info("changed rules of revision %s are good and are taken soon", found.digest)

    def _look(self) -> _Seen:
        files: set[Path] = set()
        for path in self._paths:
            files.update(_beside(path))
        return tuple(seen for file in sorted(files) if (seen := _seen(file)) is not None)


def _beside(path: Path) -> set[Path]:
    """What the loader reads for this path: rules, parts and chapters."""
    if path.is_dir():
        return {*path.glob("*.yaml"), *path.glob("*/*.yaml")}
    return {path, *path.parent.glob("parts/*.yaml"), *path.with_suffix("").glob("*.yaml")}


def _seen(file: Path) -> tuple[str, int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return str(file), found.st_ino, found.st_mtime_ns, found.st_size


def _first(error: Exception) -> str:
    """One line: the first mistake with its place, and how many there are."""
    if not isinstance(error, RuleErrors):
        return str(error)
    first = error.errors[0]
    more = f" (and {len(error.errors) - 1} more)" if len(error.errors) > 1 else ""
    return f"{first.file}:{first.line}:{first.column}: {first.message}{more}"
