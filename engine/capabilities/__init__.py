"""Named abilities that rules may call, one file each.

What cannot be said in YAML without danger lives here: cryptography, merging documents, differences
between Talos versions, anything where a wrong edit could cost quorum or leak a key.
"""
