"""Ask the API server who a token belongs to and what its owner may do.

Pure: builds the bodies of TokenReview and SubjectAccessReview (authentication.k8s.io/v1,
authorization.k8s.io/v1) and reads their answers. Tokens are never kept. Neighbours: `client` sends
them, `engine.serve` asks for the metrics endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who asks, as the API server sees it."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """May `verb` be done on the URL `path`, which is not a resource."""

    path: str
    verb: str = "get"


def token_review(token: str) -> tuple[str, dict[str, Any]]:
    """Path and body of the question whose token this is."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    return "/apis/authentication.k8s.io/v1/tokenreviews", body


def user_of(review: Mapping[str, Any]) -> UserInfo | None:
    """The user an answered TokenReview names, None when the token was not accepted."""
    status = review.get("status") or {}
    if not status.get("authenticated"):
        return None
    user = status.get("user") or {}
    extra = {str(name): tuple(map(str, values)) for name, values in (user.get("extra") or {}).items()}
    return UserInfo(
        str(user.get("username", "")), str(user.get("uid", "")), tuple(user.get("groups") or ()), extra
    )


def access_review(user: UserInfo, question: AccessQuestion) -> tuple[str, dict[str, Any]]:
    """Path and body of the question whether `user` may."""
    spec: dict[str, Any] = {
        "user": user.username,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {name: list(values) for name, values in user.extra.items()},
        "nonResourceAttributes": {"path": question.path, "verb": question.verb},
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return "/apis/authorization.k8s.io/v1/subjectaccessreviews", body
