"""The descriptors of schemas/talos in a pool of their own, loaded on first use.

A private pool, because files called `time/time.proto` or `common/common.proto` may exist in other packages of the
same process. Never changes after it is loaded. Neighbours: every module of this package.
"""

from __future__ import annotations

from functools import cache

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from engine.base.assets import asset

__all__ = [
    "DecodeError",
    "Descriptor",
    "EnumDescriptor",
    "FieldDescriptor",
    "Message",
    "ServiceDescriptor",
    "is_repeated",
    "map_value",
    "message_class",
    "services",
]


@cache
def _files() -> FileDescriptorSet:
    return FileDescriptorSet.FromString(asset("schemas", "talos", "descriptors.binpb").read_bytes())


@cache
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for file in _files().file:
        pool.Add(file)
    return pool


@cache
def message_class(full_name: str) -> type[Message]:
    """The class of a message such as `machine.VersionResponse`. Raises KeyError when there is none."""
    return GetMessageClass(_pool().FindMessageTypeByName(full_name))


def services() -> list[ServiceDescriptor]:
    """Every service of schemas/talos, in the order of its files."""
    names = [f"{file.package}.{service.name}" for file in _files().file for service in file.service]
    return [_pool().FindServiceByName(name) for name in names]


def map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field that holds the values when `field` is a map, which protobuf writes as a list of entries."""
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return None
    return entry.fields_by_name["value"]


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field is a list or a map. Newer protobuf has an attribute for it, older only the label."""
    return bool(
        getattr(field, "is_repeated", getattr(field, "label", None) == FieldDescriptor.LABEL_REPEATED)
    )
