"""Whose request it is, behind proxies or not."""

from __future__ import annotations

from collections.abc import Mapping


def client_address(headers: Mapping[str, str], peer: str, trusted: int) -> str:
    """The client's address: with ``trusted`` proxies in front the one that many places from the right of
    ``X-Forwarded-For``; the peer's where there is no such place, or no proxy. What a client itself writes stands
    further left and is never looked at."""
    if not trusted:
        return peer
    hops = [it.strip() for it in headers.get("X-Forwarded-For", "").split(",") if it.strip()]
    return hops[-trusted] if len(hops) >= trusted else peer
