"""Names that nobody can guess, for sockets and sessions."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from typing import Final

AT_ONCE: Final = 4096  # bytes of the system's randomness that one call fetches: a handshake needs three names
SOCKET_BYTES: Final = 15
SESSION_BYTES: Final = 18


class Ids:
    """Base64url text of so many random bytes, each byte used once."""

    def __init__(self) -> None:
        self._random, self._at = b"", 0

    def make(self, size: int) -> str:
        """A new one; ``size`` in bytes, a multiple of three."""
        if self._at + size > len(self._random):
            self._random, self._at = os.urandom(AT_ONCE), 0
        begin, self._at = self._at, self._at + size
        return urlsafe_b64encode(self._random[begin : self._at]).decode()
