"""IP addresses as texts: one spelling of each, and the form in which they stand before a port.

Pure. No neighbours.
"""

from __future__ import annotations

import ipaddress


def canonical(address: str) -> str:
    """One text for all ways to write an address; what is none stays as it is."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def bracketed(host: str) -> str:
    """A host as it stands before `:PORT`: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host
