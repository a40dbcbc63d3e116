"""What the person in front of ``make run`` reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

_UNTOLD = {"time", "level", "process", "logger", "message"}
SLOW_S = 1.0


def say(text: str) -> None:
    """One message; where nobody reads any more, that is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


@contextlib.asynccontextmanager
async def progress(what: str) -> AsyncIterator[None]:
    """Say what is being done as soon as it takes longer than a second, and every ten seconds after that."""

    async def tell() -> None:
        await asyncio.sleep(SLOW_S)
        say(f"  {what} …")
        waited = SLOW_S
        while True:
            await asyncio.sleep(10)
            waited += 10
            say(f"  {what} … {waited:.0f} s")

    teller = asyncio.create_task(tell(), name="progress")
    try:
        yield
    finally:
        teller.cancel()


def worth_repeating(line: str) -> str | None:
    """What of a child's log line belongs on the terminal: warnings and errors, and all that is no JSON line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line or None
    if not isinstance(entry, dict) or entry.get("level") in ("debug", "info"):
        return None
    fields = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _UNTOLD and key != "where")
    return f"{entry.get('level', '')}: {entry.get('message', line)} {fields}".rstrip()
