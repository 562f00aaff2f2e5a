"""Find the API server and prove who we are: kubeconfig or service account, one session.

pykube-ng reads the configuration and makes the session. What it would get wrong is done here:
keys given inline are loaded into a TLS context and leave no file behind (it would write them
world-readable), a token in a file is read again as it is renewed, settings that it would ignore
are refused. Never contacts the server. Neighbours: `client` asks for an Access, `credentials`
gives the bearer tokens.
"""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pykube
import requests
from pykube.http import KubernetesHTTPAdapter

from engine.base.errors import SettingsError
from engine.ports.kube.credentials import BearerSource, ExecToken, FileToken, StaticToken

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CLUSTER_IGNORED = ("proxy-url",)
_USER_IGNORED = ("as", "as-groups", "as-uid", "as-user-extra")


@dataclass(frozen=True, slots=True)
class Access:
    """A way to one API server: `server` is its URL, `namespace` the context's default one."""

    server: str
    namespace: str
    session: requests.Session
    bearer: BearerSource | None


def open_access(kubeconfig: Path | None = None, *, context: str | None = None, pool_size: int = 32) -> Access:
    """Access by, in this order: `kubeconfig`, $KUBECONFIG, the pod's service account, ~/.kube/config.

    `pool_size` is how many connections are kept: workers plus watches. Raises SettingsError that
    names the file and what is wrong with it.
    """
    named = kubeconfig or _from_environment()
    if named is None and "KUBERNETES_SERVICE_HOST" in os.environ and (_ACCOUNT / "token").exists():
        return in_cluster(_ACCOUNT, pool_size=pool_size)
    path = (named or Path("~/.kube/config")).expanduser()
    if not path.is_file():
        raise SettingsError(f"no kubeconfig at {path}; name one with --kubeconfig or KUBECONFIG")
    # pykube lets through whatever its parsers raise: KeyError, YAMLError, binascii.Error, ...
    try:
        config = pykube.KubeConfig.from_file(str(path), current_context=context)
        return access_of(config, path.parent, pool_size=pool_size)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    except Exception as error:
        raise SettingsError(f"{path}: not a usable kubeconfig ({type(error).__name__}: {error})") from error


def in_cluster(folder: Path, *, pool_size: int = 32) -> Access:
    """Access as the service account whose files (token, ca.crt, namespace) are in `folder`."""
    try:
        config = pykube.KubeConfig.from_service_account(str(folder))
    except (OSError, KeyError) as error:
        raise SettingsError(f"service account in {folder} is unusable: {error}") from error
    return _access(config, {"tokenFile": str(folder / "token")}, folder, pool_size)


def access_of(config: Any, folder: Path, *, pool_size: int) -> Access:
    """Access by a pykube configuration; relative paths in it start in `folder`. Raises SettingsError and what pykube raises."""
    return _access(config, config.user, folder, pool_size)


def _from_environment() -> Path | None:
    paths = [Path(item).expanduser() for item in os.environ.get("KUBECONFIG", "").split(os.pathsep) if item]
    if len(paths) <= 1:
        return paths[0] if paths else None
    present = [path for path in paths if path.is_file()]
    if len(present) == 1:
        return present[0]
    raise SettingsError("KUBECONFIG lists several files, which are not merged; name one with --kubeconfig")


def _access(config: Any, user: Mapping[str, Any], folder: Path, pool_size: int) -> Access:
    cluster = config.cluster
    _refuse(cluster, _CLUSTER_IGNORED)
    _refuse(user, _USER_IGNORED)
    bearer = _bearer(user, folder)
    adapter = _Adapter(config, tls_context(cluster, user), bearer, cluster.get("tls-server-name"), pool_size)
    session: requests.Session = pykube.HTTPClient(config, http_adapter=adapter).session
    # Without this requests looks for proxies and netrc on every call, at half the speed.
    session.trust_env = False
    session.headers["User-Agent"] = "talos-operator"
    return Access(cluster["server"].rstrip("/"), config.namespace.strip(), session, bearer)


def _refuse(section: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if section.get(name):
            raise SettingsError(f"`{name}` is not supported; use a context without it")


def _bearer(user: Mapping[str, Any], folder: Path) -> BearerSource | None:
    if user.get("tokenFile"):
        return FileToken(folder / user["tokenFile"])
    if user.get("token"):
        return StaticToken(user["token"])
    return ExecToken(user["exec"], folder) if user.get("exec") else None


def tls_context(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    """A TLS context that trusts the cluster's authority alone and shows the user's certificate."""
    authority = cluster.get("certificate-authority")
    context = ssl.create_default_context(cadata=authority.bytes().decode() if authority else None)
    # Python 3.13 asks for extensions that the authorities of many clusters lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "client-certificate" in user:
        _load_pair(context, user["client-certificate"].bytes(), user["client-key"].bytes())
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Python's ssl reads keys from files only, so they exist for that moment, for us alone."""
    with tempfile.TemporaryDirectory(prefix="talos-operator-") as folder:
        paths = (Path(folder, "tls.crt"), Path(folder, "tls.key"))
        for path, content in zip(paths, (certificate, key), strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)
        context.load_cert_chain(*paths)


class _Adapter(KubernetesHTTPAdapter):  # type: ignore[misc]
    """pykube's adapter with our TLS context, our tokens and TCP keepalive."""

    def __init__(
        self,
        config: Any,
        context: ssl.SSLContext,
        bearer: BearerSource | None,
        server_name: str | None,
        pool_size: int,
    ) -> None:
        self._tls: dict[str, Any] = {"ssl_context": context}
        if server_name:
            self._tls |= {"server_hostname": server_name, "assert_hostname": server_name}
        self._bearer = bearer
        super().__init__(config, pool_connections=1, pool_maxsize=pool_size)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, socket_options=_SOCKET_OPTIONS, **kwargs)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, None)
        return host, dict(self._tls)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing: requests would add public authorities to the cluster's own."""

    def _setup_request_certificates(self, config: Any, request: Any, kwargs: Any) -> None:
        """Nothing: pykube would write the keys to /tmp."""

    def _setup_request_auth(self, config: Any, request: Any, kwargs: Any) -> Any:
        if self._bearer is None:
            return super()._setup_request_auth(config, request, kwargs)
        request.headers["Authorization"] = f"Bearer {self._bearer.token()}"
        return None


_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]
