"""The certificate that the metrics endpoint shows: mounted files, or one of our own.

Mounted files are looked at every ten seconds and taken up when their content changed; a pair that
does not fit is told in the log and leaves the former one in use. An own certificate lives in memory
and is made anew at half of its time. Neighbours: `engine.machineconfig.certificates` makes keys,
`engine.listener` asks for the context of each new connection.
"""

from __future__ import annotations

import logging
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.base.errors import SettingsError
from engine.machineconfig.certificates import YEAR_S, issue_server_certificate, make_authority

log = logging.getLogger(__name__)

_LOOK_AGAIN_S: Final = 10.0
_ORGANIZATION: Final = "talos-operator"

Pair = tuple[bytes, bytes]
"""Certificate chain and private key, PEM."""


class ServingCertificate:
    """Gives the TLS context of the moment. Safe for use by many threads."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`folder` holds tls.crt and tls.key; None: an own certificate. Raises SettingsError."""
        self._folder = folder
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._pair = self._read() if folder is not None else _own(wall())
        self._looked_at = clock()
        try:
            self._context = _context(self._pair)
        except ssl.SSLError as error:
            raise SettingsError(f"{folder}: tls.crt and tls.key are unusable: {error.reason}") from None

    def context(self) -> ssl.SSLContext:
        """The context for a new connection."""
        with self._lock:
            if self._folder is None:
                self._renew()
            elif self._clock() - self._looked_at >= _LOOK_AGAIN_S:
                self._look()
            return self._context

    def _renew(self) -> None:
        if self._clock() - self._looked_at >= YEAR_S / 2:
            self._looked_at = self._clock()
            self._pair = _own(self._wall())
            self._context = _context(self._pair)

    def _look(self) -> None:
        self._looked_at = self._clock()
        try:
            pair = self._read()
            if pair != self._pair:
                self._context, self._pair = _context(pair), pair
                log.info("the certificate in %s changed and is in use", self._folder)
        except (SettingsError, ssl.SSLError) as error:
            log.warning("the former certificate stays in use: %s", error)

    def _read(self) -> Pair:
        assert self._folder is not None
        try:
            return (self._folder / "tls.crt").read_bytes(), (self._folder / "tls.key").read_bytes()
        except OSError as error:
            raise SettingsError(f"cannot read {error.filename}: {error.strerror}") from None


def _own(now: float) -> Pair:
    authority = make_authority("p256", _ORGANIZATION, now=now, ttl_s=YEAR_S)
    names = ("localhost", socket.gethostname())
    pair = issue_server_certificate(authority, addresses=("127.0.0.1",), names=names, now=now, ttl_s=YEAR_S)
    return (pair.crt + authority.crt).encode(), pair.key.encode()


def _context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python's ssl reads keys from files only, so they exist for that moment, for us alone.
    with tempfile.TemporaryDirectory(prefix="talos-operator-") as folder:
        paths = (Path(folder, "tls.crt"), Path(folder, "tls.key"))
        for path, content in zip(paths, pair, strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)
        context.load_cert_chain(*paths)
    return context
