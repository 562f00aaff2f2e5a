"""Where an object store is and who we are there; what of it cannot be, told before anything is sent.

Pure, and never imports boto3. Neighbours: `s3` connects to it, the capability `store.open` makes it of a resource.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from engine.base.errors import CapabilityError

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class S3Place:
    """One bucket. An empty `endpoint` is AWS; with one, the bucket is part of the path.

    `authority`: PEM of the certificates to trust instead of the system's; empty: the system's. `session_token`
    belongs to credentials that last for hours; the operator has none.
    """

    bucket: str
    region: str
    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    authority: str = field(default="", repr=False)
    skip_verify: bool = False
    session_token: str = field(default="", repr=False)

    @property
    def source(self) -> str:
        """The store in messages: bucket and host."""
        return f"{self.bucket} at {urlsplit(self.endpoint).netloc or 'AWS'}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may hold."""
        return (self.secret_key, self.access_key, self.session_token)

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is an address of this machine's own."""
        try:
            return ipaddress.ip_address(urlsplit(self.endpoint).hostname or "").is_loopback
        except ValueError:
            return False


def checked_place(place: S3Place) -> S3Place:
    """The place with its endpoint as a URL; raises CapabilityError (InvalidStorage) naming the field."""
    if not _BUCKET.fullmatch(place.bucket):
        raise _invalid("bucket", f"{place.bucket!r} cannot be the name of a bucket")
    if not _REGION.fullmatch(place.region):
        raise _invalid("region", f"{place.region!r} cannot be a region; write for example us-east-1")
    for name, value in (("accessKeyID", place.access_key), ("secretAccessKey", place.secret_key)):
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise _invalid(name, "it is empty or holds a character that no such key has, such as a line end")
    if not place.endpoint:
        return place
    url = place.endpoint if "://" in place.endpoint else f"https://{place.endpoint}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise _invalid("endpoint", "write it as https://HOST or https://HOST:PORT")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise _invalid("endpoint", "it may hold no user, password or query; credentials come from a Secret")
    return replace(place, endpoint=url.rstrip("/"))


def _invalid(name: str, why: str) -> CapabilityError:
    return CapabilityError(f"s3.{name}: {why}", sent="no", code="InvalidStorage")
