"""Who may read the metrics: the API server says whose token it is and what its owner may do.

A client certificate that the TLS handshake accepted says by itself who it is, as it does for the API server: the
common name is the user, the organizations are the groups. Else TokenReview; then SubjectAccessReview for the path and the verb `get`. Answers are remembered as
long as controller-runtime remembers them: who somebody is for one minute, that he may for five,
that he may not for thirty seconds. Tokens themselves are never kept. When the API server cannot be
asked nobody new comes in. Neighbours: `serve` asks, `engine.ports.kube.client` answers.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Protocol

from engine.base.errors import RemoteError
from engine.listener import Request, Response
from engine.ports.kube.review import AccessQuestion, UserInfo

_KNOWN_S: Final = 60.0
_ALLOWED_S: Final = 300.0
_DENIED_S: Final = 30.0
_REMEMBERED: Final = 1024
_AUTHENTICATED: Final = "system:authenticated"
"""The group of everybody whom the API server knows."""


class Reviewer(Protocol):
    """As much of the API client as is needed."""

    def review_token(self, token: str) -> UserInfo | None: ...

    def review_access(self, user: UserInfo, question: AccessQuestion) -> bool: ...


class Gate:
    """Decides on requests. Safe for use by many threads."""

    def __init__(self, reviewer: Reviewer, clock: Callable[[], float] = time.monotonic) -> None:
        self._reviewer = reviewer
        self._users = _Memory(clock)
        self._verdicts = _Memory(clock)

    def refusal(self, request: Request) -> Response | None:
        """None when the request may pass, else 401, 403, or 503 when nobody can say."""
        user = certified(request.certificate)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if user is None and (scheme.lower() != "bearer" or not token.strip()):
            return _unauthenticated("a bearer token is needed")
        try:
            user = user or self._user(token.strip())
            if user is None:
                return _unauthenticated("the token is not valid")
            if self._may(user, AccessQuestion(request.path)):
                return None
        except RemoteError:
            return Response(503, b"the API server cannot be asked who may read this\n")
        text = (
            f'{user.username} may not "get" {request.path}; grant it by a ClusterRole for nonResourceURLs\n'
        )
        return Response(403, text.encode())

    def _user(self, token: str) -> UserInfo | None:
        name = hashlib.sha256(token.encode()).digest()
        found, user = self._users.recall(name)
        if not found:
            user = self._reviewer.review_token(token)
            self._users.keep(name, user, _KNOWN_S if user is not None else _DENIED_S)
        known: UserInfo | None = user
        return known

    def _may(self, user: UserInfo, question: AccessQuestion) -> bool:
        name = (user, tuple(sorted(user.extra.items())), question)
        found, allowed = self._verdicts.recall(name)
        if not found:
            allowed = self._reviewer.review_access(user, question)
            self._verdicts.keep(name, allowed, _ALLOWED_S if allowed else _DENIED_S)
        return bool(allowed)


def certified(subject: Mapping[str, Sequence[str]]) -> UserInfo | None:
    """The user that a client certificate with this subject names; None without a common name."""
    names = subject.get("commonName", ())
    return UserInfo(names[0], "", (*subject.get("organizationName", ()), _AUTHENTICATED)) if names else None


def _unauthenticated(text: str) -> Response:
    return Response(401, f"{text}\n".encode(), headers={"WWW-Authenticate": "Bearer"})


class _Memory:
    """Answers that are kept for a while, the oldest first to go."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def recall(self, name: Hashable) -> tuple[bool, Any]:
        """Whether an answer is remembered, and which."""
        with self._lock:
            until, answer = self._kept.get(name, (float("-inf"), None))
            return self._clock() < until, answer

    def keep(self, name: Hashable, answer: object, seconds: float) -> None:
        """Remember an answer."""
        with self._lock:
            self._kept[name] = (self._clock() + seconds, answer)
            self._kept.move_to_end(name)
            if len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
