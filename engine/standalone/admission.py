"""What happens to an object between a client and the store: shape, pruning, defaults, validation.

In kube-apiserver's order: unknown fields, defaults, schema, list keys, CEL; a CEL rule is not
asked while the schema finds blocking faults. Raises ApiFailure 400 or 422; stores nothing.
Neighbours: `schema`, `core_behaviour`; `objects` calls it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.standalone import failures
from engine.standalone.core_behaviour import before_write
from engine.standalone.failures import ApiFailure, Cause, bad_request, invalid
from engine.standalone.kinds import Served
from engine.standalone.schema.correlation import ABSENT, duplicates
from engine.standalone.schema.defaulting import apply_defaults
from engine.standalone.schema.metadata import metadata_causes
from engine.standalone.schema.pruning import prune
from engine.standalone.schema.rules import broken_rules
from engine.standalone.schema.validation import validate

_BLOCKING = {
    failures.NOT_SUPPORTED,
    failures.REQUIRED,
    failures.TOO_LONG,
    failures.TOO_MANY,
    failures.TYPE_INVALID,
}
_UNCHECKED = Cause(
    failures.INVALID,
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the"
    " existing errors to complete validation",
)


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The query parameters of a write; `validation` is Strict, Warn or Ignore."""

    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    validation: str = "Warn"


@dataclass(slots=True)
class Written:
    """The outcome of a write: the object as the client sees it, the HTTP code, texts for Warning headers."""

    body: dict[str, Any]
    code: int = 200
    warnings: list[str] = field(default_factory=list)


def check_envelope(served: Served, value: Any, namespace: str, name: str) -> dict[str, Any]:
    """The body as an object that belongs to the URL; fills in apiVersion, kind, namespace and name."""
    if not isinstance(value, dict) or not isinstance(value.setdefault("metadata", {}), dict):
        raise bad_request("the body is not an object with metadata")
    _check_metadata_shape(served, value)
    have = value.setdefault("apiVersion", served.api_version)
    if have != served.api_version:
        raise bad_request(
            f"the API version in the data ({have}) does not match the expected API version ({served.api_version})"
        )
    metadata = value["metadata"]
    if (kind := value.setdefault("kind", served.kind)) != served.kind:
        if not served.custom:
            raise bad_request(f"{kind} in the data does not match the expected kind {served.kind}")
        cause = Cause(failures.INVALID, "kind", f'Invalid value: "{kind}": must be {served.kind}')
        raise invalid(served.group, str(kind), str(metadata.get("name", "")), [cause])
    if namespace and metadata.setdefault("namespace", namespace) not in (namespace, ""):
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if namespace:
        metadata["namespace"] = namespace
    elif not served.namespaced:
        metadata.pop("namespace", None)
    if name and metadata.setdefault("name", name) != name:
        text = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        raise bad_request(text)
    return value


def drop_unknown(
    served: Served, value: dict[str, Any], options: WriteOptions, *, patched: str = ""
) -> list[str]:
    """Prune in place; the warnings to give. Strict raises 400, or 422 when the object came of a patch."""
    metadata = value["metadata"]
    dropped = prune(value, served.schema, resource=True)
    properties = served.schema["properties"]["metadata"]
    dropped += prune(metadata, properties, path="metadata")
    if not dropped or options.validation == "Ignore":
        return []
    texts = [f'unknown field "{path}"' for path in dropped]
    if options.validation != "Strict":
        return texts
    text = f"strict decoding error: {', '.join(texts)}"
    if patched:
        raise invalid("", "", "", [Cause(failures.INVALID, "patch", f'Invalid value: "{patched}": {text}')])
    raise bad_request(
        f"{served.kind} in version {served.version!r} cannot be handled as a {served.kind}: {text}".replace(
            "'", '"'
        )
    )


def _check_metadata_shape(served: Served, value: dict[str, Any]) -> None:
    """400 when metadata cannot be decoded at all: wrong types."""
    schema = served.schema["properties"]["metadata"]
    apply_defaults(value["metadata"], schema)
    for cause in validate(value["metadata"], schema, path="metadata"):
        if cause.reason == failures.TYPE_INVALID:
            raise bad_request(f"the object cannot be decoded: {cause}")


def admit(served: Served, value: dict[str, Any], old: dict[str, Any] | None, now: str) -> None:
    """Default, complete and validate in place; 422 with every cause."""
    apply_defaults(value, served.schema)
    before: Any = old if old is not None else ABSENT
    causes = metadata_causes(value["metadata"]) + validate(value, served.schema, old=before)
    if not causes:
        causes += before_write(served.storage, value, now)
    if old is None or not duplicates(old, served.schema):
        causes += duplicates(value, served.schema)
    if served.has_rules:
        blocked = any(cause.reason in _BLOCKING for cause in causes)
        causes += [_UNCHECKED] if blocked else broken_rules(value, served.schema, old=before)
    if causes:
        name = value["metadata"].get("name", "")
        raise invalid(served.group, served.kind, name, causes)


def undeclared(paths: list[str], namespace: str, name: str, served: Served) -> ApiFailure:
    """The refusal of an apply that names fields outside the schema, as kube-apiserver words it."""
    fields = ", ".join(f"{path}: field not declared in schema" for path in paths)
    subject = f"({namespace}/{name}; {served.api_version}, Kind={served.kind})"
    return ApiFailure(500, "InternalError", f"failed to create typed patch object {subject}: {fields}")
