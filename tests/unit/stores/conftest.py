"""Stores for tests: one in a directory, one in a bucket of a real server, and a look at each from outside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import s3_server
from s3_server import Bucket, moto_server

from engine.ports.stores import s3_upload
from engine.ports.stores.contract import Store
from engine.ports.stores.directory import DirectoryStore
from engine.ports.stores.s3 import S3Store

SMALL_PART = 5 << 20
"""The least that an object store takes as a part; ours are 8 MiB, which only makes tests slower."""


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with moto_server(tmp_path_factory.mktemp("moto")) as port:
        yield port


class Folder:
    """A directory seen from outside."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def objects(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }

    def partial(self) -> list[str]:
        return [str(path) for path in self.root.rglob(".*")]


@pytest.fixture
def bucket(moto: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr(s3_upload, "PART", SMALL_PART)
    monkeypatch.setattr(s3_upload, "FIRST_WAIT_S", 0.01)
    made = Bucket(moto)
    made.empty()
    yield made
    made.between.close()


@pytest.fixture
def s3(bucket: Bucket) -> S3Store:
    return S3Store(bucket.place)


@pytest.fixture(params=["directory", "s3"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What stands behind `store`, seen from outside."""
    if request.param == "s3":
        return request.getfixturevalue("bucket")
    (tmp_path / "store").mkdir()
    return Folder(tmp_path / "store")


@pytest.fixture
def store(world: Any) -> Store:
    return S3Store(world.place) if isinstance(world, Bucket) else DirectoryStore(world.root)


__all__ = ["Callable", "replace", "s3_server"]
