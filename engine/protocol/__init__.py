"""The Talos API as data: its methods, its messages, the resources its machines publish.

Pure: reads schemas/talos once, on first use, and never touches a network. The only package that imports
protobuf; never imports grpc. Neighbours: `ruleset` checks rules against it, `ports.talos` and the simulator send
and receive its messages.
"""

from engine.protocol.decode import FieldTree, to_value
from engine.protocol.encode import to_message
from engine.protocol.errors import MessageError
from engine.protocol.methods import Effect, Method, methods
from engine.protocol.pool import Descriptor, Message, message_class
from engine.protocol.resources import CosiType, cosi_types
from engine.protocol.schema import schema_of

__all__ = [
    "CosiType",
    "Descriptor",
    "Effect",
    "FieldTree",
    "Message",
    "MessageError",
    "Method",
    "cosi_types",
    "message_class",
    "methods",
    "schema_of",
    "to_message",
    "to_value",
]
