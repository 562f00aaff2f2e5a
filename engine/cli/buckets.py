"""Buckets as the command line names them, `s3://BUCKET/KEY`, and their objects as files for as long as they are needed.

Needs no cluster. Credentials come from files that flags name, or from where AWS's tools have them, never from a flag.
What a store says is told with the bucket and with what to do. Neighbours: `backups` and `restore` ask, `ports.stores`
knows stores.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from engine.base.errors import Denied, Missing, RemoteError, Unreachable
from engine.cli.failures import MISUSED, CommandFailed

if TYPE_CHECKING:
    from engine.ports.stores.contract import Store, Stored

SCHEME: Final = "s3://"
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_HINTS: Final = {
    "NoCredentials": "--s3-access-key-file and --s3-secret-key-file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "NoLibrary": "pip install 'talos-operator[s3]'",
    "BadCertificate": "--s3-ca-file FILE names the authority that the store's certificate is from",
    "NoSuchBucket": "correct the name behind s3://, or --s3-endpoint",
    "WrongRegion": "--s3-region NAME",
    "InvalidStorage": "talos-operator backup list --help shows the flags",
    "ClockSkew": "set the clock of this machine",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket, and an object in it or the beginning of several; an empty key is all of it."""

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}".rstrip("/")


class AddressType(click.ParamType["Address"]):
    """`s3://BUCKET` or `s3://BUCKET/PREFIX`."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        if isinstance(value, Address):
            return value
        bucket, _, key = str(value).removeprefix(SCHEME).partition("/")
        if not str(value).startswith(SCHEME) or not bucket:
            self.fail(f"{value!r} is no bucket; write it like s3://BUCKET or s3://BUCKET/PREFIX", param, ctx)
        return Address(bucket, key)


class FileOrObject(click.ParamType["Path | Address"]):
    """A file that is there, or `s3://BUCKET/KEY`."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | Address:
        if isinstance(value, Address) or not str(value).startswith(SCHEME):
            found: Path | Address = value if isinstance(value, Address) else _FILE.convert(value, param, ctx)
            return found
        address = AddressType().convert(value, param, ctx)
        if not address.key or address.key.endswith("/"):
            self.fail(f"{value!r} names no object; write it like s3://BUCKET/KEY", param, ctx)
        return address


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """How the flags say that a bucket is reached; whatever is None is asked of AWS's settings."""

    endpoint: str | None = None
    region: str | None = None
    access_key_file: Path | None = None
    secret_key_file: Path | None = None
    ca_file: Path | None = None
    skip_verify: bool = False

    def store(self, bucket: str) -> Store:
        """The bucket; sends nothing. Raises CommandFailed."""
        from engine.capabilities.stores import handle_of, opened
        from engine.ports.stores.s3place import S3Place, checked_place

        if (self.access_key_file is None) != (self.secret_key_file is None):
            hint = "give both, or neither and let AWS's settings say who you are"
            raise CommandFailed(
                "--s3-access-key-file and --s3-secret-key-file belong together", hint=hint, code=MISUSED
            )
        place = S3Place(
            bucket,
            self.region or "",
            self.endpoint or "",
            _text(self.access_key_file),
            _text(self.secret_key_file),
            _text(self.ca_file),
            self.skip_verify,
        )
        with told(f"{SCHEME}{bucket}"):
            try:
                from engine.ports.stores.s3environment import completed
            except ImportError:
                message, hint = "buckets need the library boto3", _HINTS["NoLibrary"]
                raise CommandFailed(message, hint=hint) from None
            return opened(handle_of(checked_place(completed(place))))

    def files(self, address: Address) -> list[Stored]:
        """Everything under the address, in the order of keys. Raises CommandFailed."""
        store = self.store(address.bucket)
        with told(str(address)):
            return list(store.list(address.key))

    @contextmanager
    def as_file(self, source: Path | Address) -> Iterator[Path]:
        """The file itself, or the object in a file that is gone afterwards. Raises CommandFailed, OSError."""
        if isinstance(source, Path):
            yield source
            return
        store = self.store(source.bucket)
        with tempfile.TemporaryDirectory(prefix="talos-operator-") as folder:
            path = Path(folder) / source.key.rpartition("/")[2]
            with told(str(source)):
                bring(store, source.key, path)
            yield path


def bring(store: Store, key: str, path: Path) -> None:
    """Copy what is under a key into a file for this user alone. Raises RemoteError, OSError."""
    path.touch(mode=0o600)
    with path.open("wb") as file:
        for piece in store.read(key):
            file.write(piece)


@contextmanager
def told(where: str) -> Iterator[None]:
    """Raises CommandFailed for what a store says, with what to do about it."""
    try:
        yield
    except RemoteError as error:
        raise CommandFailed(error.message, where=f"in {where}", hint=_hint(error)) from error


def _hint(error: RemoteError) -> str:
    if error.code in _HINTS:
        return _HINTS[error.code]
    if isinstance(error, Denied):
        return "are the credentials right, and do they have the rights that docs/backups.md names?"
    if isinstance(error, Missing):
        return f"talos-operator backup list --store {SCHEME}BUCKET shows what there is"
    return (
        "is --s3-endpoint right, and does the store run?" if isinstance(error, Unreachable) else "try again"
    )


def _text(path: Path | None) -> str:
    return "" if path is None else path.read_text("utf-8").strip()


def bucket_flags(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the flags of a bucket; it gets them as one `access: BucketAccess`."""

    @functools.wraps(function)
    def command(**given: Any) -> int:
        told_of = {
            name.removeprefix("s3_"): given.pop(name) for name in list(given) if name.startswith("s3_")
        }
        return function(access=BucketAccess(**told_of), **given)

    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


_FLAGS: Final = (
    click.option(
        "--s3-endpoint",
        metavar="URL",
        help="The object store, if it is not AWS; the bucket is part of the path.",
    ),
    click.option("--s3-region", metavar="NAME", help="The region of the bucket."),
    click.option(
        "--s3-access-key-file",
        type=_FILE,
        metavar="FILE",
        help="The access key ID is in FILE; by default as AWS's tools find it.",
    ),
    click.option(
        "--s3-secret-key-file", type=_FILE, metavar="FILE", help="The secret access key is in FILE."
    ),
    click.option(
        "--s3-ca-file",
        type=_FILE,
        metavar="FILE",
        help="Trust the certificates in FILE, not those that the system trusts.",
    ),
    click.option("--s3-skip-verify", is_flag=True, help="Do not verify the certificate of the store."),
)
