"""Talos nodes over the network: dial, TLS relay, gRPC.

grpcio cannot verify the Ed25519 certificates of Talos, so TLS is Python's own: `dial` reaches the node and
reads its first bytes, `relay` carries bytes between it and a private socket, on which grpcio speaks
plain HTTP/2. `connections` keeps a bounded number of them, `client` is what the engine calls.
"""
