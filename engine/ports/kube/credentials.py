"""Bearer tokens: where they come from and when they are fetched again.

A token is never logged and never part of an error. Periods follow client-go: a service account's
token file is read again every minute, an exec plugin's token is kept until it expires
(client.authentication.k8s.io/v1). Neighbours: `access` picks the source, its adapter asks for the
token of each request, `transport` says when one was refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from engine.base.errors import Denied, SettingsError

_READ_AGAIN_S = 60.0
_EXPIRES_SOON_S = 10.0
_PLUGIN_DEADLINE_S = 30.0
_EXEC_GROUP = "client.authentication.k8s.io"


class BearerSource(Protocol):
    """Gives the token for a request."""

    def token(self) -> str:
        """The token to send now; raises Denied when there is none."""
        ...

    def renew(self) -> bool:
        """Called after a 401: whether another token is there, so that asking again makes sense."""
        ...


class StaticToken:
    """A token that stands in the kubeconfig."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """The one token."""
        return self._token

    def renew(self) -> bool:
        """Never: there is no other."""
        return False


class FileToken:
    """A token in a file that somebody renews, as the kubelet does for service accounts."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._read_at = float("-inf")

    def token(self) -> str:
        """The token, at most a minute old; an unreadable file leaves the one known before."""
        with self._lock:
            if self._clock() - self._read_at >= _READ_AGAIN_S:
                self._read()
            return self._token

    def renew(self) -> bool:
        """Read now; True when the token changed."""
        with self._lock:
            before = self._token
            self._read()
            return self._token != before

    def _read(self) -> None:
        try:
            self._token = self._path.read_text(encoding="utf-8").strip() or self._token
        except OSError as error:
            if not self._token:
                raise Denied(
                    f"cannot read the token file {self._path}: {error.strerror}", sent="no"
                ) from error
        self._read_at = self._clock()


class ExecToken:
    """A token that a credential plugin prints."""

    def __init__(
        self, plugin: Mapping[str, Any], folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        """`plugin` is the `exec` section of a kubeconfig user; relative commands start in `folder`."""
        version = str(plugin.get("apiVersion", ""))
        if version not in {f"{_EXEC_GROUP}/v1", f"{_EXEC_GROUP}/v1beta1"}:
            raise SettingsError(
                f"exec credential plugin: apiVersion {version!r} is unknown; v1 and v1beta1 are read"
            )
        if plugin.get("interactiveMode") == "Always":
            raise SettingsError(
                "exec credential plugin: interactiveMode Always needs a person; use another user"
            )
        command = str(plugin.get("command", ""))
        if not command:
            raise SettingsError("exec credential plugin: `command` is missing")
        self._argv = [
            str(folder / command) if "/" in command else command,
            *map(str, plugin.get("args") or ()),
        ]
        self._extra = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or ()}
        self._info = json.dumps(
            {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = float("-inf")

    def token(self) -> str:
        """The plugin's token; the plugin runs again when it is about to expire."""
        with self._lock:
            if self._clock() >= self._until - _EXPIRES_SOON_S:
                self._run()
            return self._token

    def renew(self) -> bool:
        """Run the plugin now; True when the token changed."""
        with self._lock:
            before = self._token
            self._run()
            return self._token != before

    def _run(self) -> None:
        environment = {**os.environ, **self._extra, "KUBERNETES_EXEC_INFO": self._info}
        try:
            done = subprocess.run(
                self._argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_PLUGIN_DEADLINE_S,
                check=True,
            )
            status = json.loads(done.stdout)["status"]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
            # What the plugin printed may hold the token, so only the kind of failure is told.
            reason = (
                f"exit {error.returncode}"
                if isinstance(error, subprocess.CalledProcessError)
                else type(error).__name__
            )
            raise Denied(f"credential plugin {self._argv[0]} gave no token ({reason})", sent="no") from None
        if not status.get("token"):
            raise Denied(
                f"credential plugin {self._argv[0]} gave a certificate; only tokens are read", sent="no"
            )
        self._token = str(status["token"])
        self._until = _epoch(status.get("expirationTimestamp"))


def _epoch(text: object) -> float:
    if not isinstance(text, str):
        return float("inf")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return float("inf")
