"""Request bodies to JSON values: JSON, YAML or Kubernetes protobuf, bounded, with nothing a JSON document could not hold.

Raises 400, 413 or 415. Neighbours: `http`.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import yaml

from engine.standalone.failures import ApiFailure, bad_request
from engine.standalone.wire import MEDIA_TYPE, from_wire

MAX_BODY_BYTES = 3 * 1024 * 1024
_JSON = {"application/json", "application/json-patch+json", "application/merge-patch+json", ""}
_JSON |= {"application/strategic-merge-patch+json", "application/octet-stream"}
_YAML = {"application/yaml", "application/apply-patch+yaml"}


class _PlainSafeLoader(yaml.CSafeLoader):
    """YAML without timestamps: they stay the strings they were written as."""

    yaml_implicit_resolvers = {  # noqa: RUF012  replaces PyYAML's own class attribute
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def decode(data: bytes, media_type: str) -> Any:
    """The value of a body; an empty one is an empty object."""
    if len(data) > MAX_BODY_BYTES:
        text = f"Request entity too large: limit is {MAX_BODY_BYTES}"
        raise ApiFailure(413, "RequestEntityTooLarge", text)
    if not data.strip():
        return {}
    try:
        if media_type in _YAML:
            _refuse_aliases(data)
            # Through JSON and back: what JSON cannot hold is refused.
            return json.loads(json.dumps(yaml.load(data, Loader=_PlainSafeLoader), allow_nan=False))  # noqa: S506
        if media_type == MEDIA_TYPE:
            return from_wire(data)
        if media_type in _JSON:
            return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        raise bad_request(f"the body cannot be decoded as {media_type or 'JSON'}: {error}") from error
    text = f"the body of the request was in an unknown format: {media_type}; send application/json"
    raise ApiFailure(415, "UnsupportedMediaType", text)


def _refuse_aliases(data: bytes) -> None:
    # A few aliases of aliases unfold to more memory than there is.
    if b"*" in data and any(isinstance(one, yaml.AliasEvent) for one in yaml.parse(data, yaml.CSafeLoader)):
        raise ValueError("YAML aliases are not accepted")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
