"""TokenReview and the access reviews: there is one user, who holds the token and may do everything.

Nothing is stored. Neighbours: `api` routes creates here, `discovery` lists the kinds.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

USER = "standalone:admin"
_GROUPS = ["system:masters", "system:authenticated"]
_AUTHORIZATION = "authorization.k8s.io"
_AUTHENTICATION = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class Review:
    """A kind that can only be created and answers at once."""

    group: str
    version: str
    plural: str
    kind: str


REVIEWS = (
    Review(_AUTHENTICATION, "v1", "tokenreviews", "TokenReview"),
    Review(_AUTHENTICATION, "v1", "selfsubjectreviews", "SelfSubjectReview"),
    Review(_AUTHORIZATION, "v1", "subjectaccessreviews", "SubjectAccessReview"),
    Review(_AUTHORIZATION, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    Review(_AUTHORIZATION, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
)


def review_of(group: str, version: str, plural: str) -> Review | None:
    """The review behind a URL."""
    wanted = (group, version, plural)
    return next((one for one in REVIEWS if (one.group, one.version, one.plural) == wanted), None)


def answer(review: Review, body: dict[str, Any], token: str) -> dict[str, Any]:
    """The created review with its status; `token` is the only valid one."""
    spec = body.get("spec") or {}
    return {
        **body,
        "kind": review.kind,
        "apiVersion": f"{review.group}/{review.version}",
        "metadata": body.get("metadata") or {},
        "status": _status(review, spec, token),
    }


def _status(review: Review, spec: dict[str, Any], token: str) -> dict[str, Any]:
    if review.kind == "TokenReview":
        if hmac.compare_digest(str(spec.get("token", "")).encode(), token.encode()):
            return {"authenticated": True, "user": {"username": USER, "groups": _GROUPS}}
        return {"authenticated": False, "user": {}, "error": "invalid bearer token"}
    if review.kind == "SelfSubjectReview":
        return {"userInfo": {"username": USER, "groups": _GROUPS}}
    if review.kind == "SelfSubjectRulesReview":
        everything = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return {"resourceRules": everything, "nonResourceRules": paths, "incomplete": False}
    known = review.kind == "SelfSubjectAccessReview" or spec.get("user") == USER
    known = known or _GROUPS[0] in (spec.get("groups") or ())
    return {"allowed": known} if known else {"allowed": False, "reason": f"only {USER} may do anything here"}
