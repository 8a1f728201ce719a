"""Keyed pseudonyms: HMAC-SHA-256 (RFC 2104), computed in Python or prepared for SQL."""

import hashlib
import hmac
import os

KEY_VARIABLE = "MANYFACES_PSEUDONYM_KEY"
# Only for the bundled public data set, where nobody is to be protected. check_config refuses it elsewhere.
DEMO_KEY = "manyfaces-demo-key-for-public-data-only"
_BLOCK_BYTES = 64


def key_from_environment() -> tuple[str, bool]:
    """Return the key and whether it is the documented demo key because none was set."""
    key = os.environ.get(KEY_VARIABLE, "")
    return (key, False) if key else (DEMO_KEY, True)


def hmac_pads(key: str) -> tuple[bytes, bytes]:
    """Return the inner and outer padded keys (64 bytes each) of HMAC-SHA-256.

    With them SQL needs nothing but sha256: sha256(outer || sha256(inner || message)).
    """
    raw = key.encode("utf-8")
    if len(raw) > _BLOCK_BYTES:
        raw = hashlib.sha256(raw).digest()
    raw = raw.ljust(_BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in raw), bytes(byte ^ 0x5C for byte in raw)


def user_key(user_id: str, key: str) -> str:
    """Return the pseudonym of a raw user id: the first 32 hex digits of its HMAC-SHA-256."""
    return hmac.new(key.encode("utf-8"), user_id.encode("utf-8"), hashlib.sha256).hexdigest()[:32]
