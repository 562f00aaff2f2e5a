"""The certificate that the metrics endpoint shows, and the authorities whose client certificates it takes.

Mounted files are looked at every ten seconds and taken up when their content changed; what does not fit is told in
the log and counted, and leaves the former ones in use. An own certificate lives in memory and is made anew at half of
its time. Never asks for a client certificate unless there is an authority for it, and never demands one: a token does
as well. Neighbours: `engine.machineconfig.certificates` makes keys, `engine.listener` asks for the context of each
new connection, `gate` says who a client certificate is.
"""

from __future__ import annotations

import logging
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.base.errors import SettingsError
from engine.machineconfig.certificates import (
    YEAR_S,
    CertificateError,
    facts,
    issue_server_certificate,
    make_authority,
)

log = logging.getLogger(__name__)

_LOOK_AGAIN_S: Final = 10.0
_ORGANIZATION: Final = "talos-operator"


@dataclass(frozen=True, slots=True)
class _Material:
    """Certificate chain, private key and the authorities of clients, PEM; no authorities: no client certificates."""

    chain: bytes
    key: bytes
    clients: bytes | None = None


class ServingCertificate:
    """Gives the TLS context of the moment. Safe for use by many threads."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        client_ca: Path | None = None,
        on_read: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`folder` holds tls.crt and tls.key; None: an own certificate. `client_ca` is a file of authorities.

        `on_read` is told `success` or `error` after each reading of files. Raises SettingsError, naming the file.
        """
        self._folder = folder
        self._client_ca = client_ca
        self._on_read = on_read
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._looked_at = self._made_at = clock()
        self._own = _own(wall()) if folder is None else None
        self._material = self._read()
        self._context = self._built(self._material)
        self._expires = _expiry(self._material)
        self._count("success")

    def context(self) -> ssl.SSLContext:
        """The context for a new connection."""
        with self._lock:
            now = self._clock()
            is_old = self._own is not None and now - self._made_at >= YEAR_S / 2
            if is_old:
                self._own, self._made_at = _own(self._wall()), now
            if is_old or (self._has_files and now - self._looked_at >= _LOOK_AGAIN_S):
                self._looked_at = now
                self._look()
            return self._context

    def expires(self) -> float:
        """When the certificate in use expires, in seconds since 1970."""
        with self._lock:
            return self._expires

    @property
    def _has_files(self) -> bool:
        return self._folder is not None or self._client_ca is not None

    def _look(self) -> None:
        try:
            material = self._read()
            if material != self._material:
                context, expires = self._built(material), _expiry(material)
                self._context, self._expires, self._material = context, expires, material
                log.info("the certificate of the metrics endpoint changed and is in use")
        except SettingsError as error:
            self._count("error")
            log.warning("the former certificate of the metrics endpoint stays in use: %s", error)
        else:
            self._count("success")

    def _count(self, result: str) -> None:
        if self._has_files:
            self._on_read(result)

    def _read(self) -> _Material:
        clients = None if self._client_ca is None else _content(self._client_ca)
        if self._folder is not None:
            return _Material(_content(self._folder / "tls.crt"), _content(self._folder / "tls.key"), clients)
        assert self._own is not None
        return _Material(*self._own, clients)

    def _built(self, material: _Material) -> ssl.SSLContext:
        try:
            context = _context(material)
        except ssl.SSLError as error:
            raise SettingsError(f"{self._folder}: tls.crt and tls.key are unusable: {error.reason}") from None
        if material.clients is not None:
            try:
                context.load_verify_locations(cadata=material.clients.decode("ascii"))
            except (ssl.SSLError, ValueError):
                raise SettingsError(
                    f"{self._client_ca}: no certificates in PEM; name a file with those of the authorities"
                ) from None
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {error.filename}: {error.strerror}") from None


def _own(now: float) -> tuple[bytes, bytes]:
    authority = make_authority("p256", _ORGANIZATION, now=now, ttl_s=YEAR_S)
    names = ("localhost", socket.gethostname())
    pair = issue_server_certificate(authority, addresses=("127.0.0.1",), names=names, now=now, ttl_s=YEAR_S)
    return (pair.crt + authority.crt).encode(), pair.key.encode()


def _expiry(material: _Material) -> float:
    try:
        return facts(material.chain.decode("utf-8", "replace")).not_after
    except CertificateError as error:
        raise SettingsError(f"tls.crt: {error}") from None


def _context(material: _Material) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Nobody resumes a session: each scrape is judged by the authorities and the certificate of its moment.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    # Python's ssl reads keys from files only, so they exist for that moment, for us alone.
    with tempfile.TemporaryDirectory(prefix="talos-operator-") as folder:
        paths = (Path(folder, "tls.crt"), Path(folder, "tls.key"))
        for path, content in zip(paths, (material.chain, material.key), strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)
        context.load_cert_chain(*paths)
    return context
