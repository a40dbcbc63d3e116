"""Once an hour: what the outbox has kept long enough goes, in small bites, and what waits for a rebuild is said."""

from __future__ import annotations

import asyncio
import logging

from shared import outbox
from shared.database import COMMAND_S, Pool, borrowed, is_outage
from shared.domain.catalogue import CATALOGUE

log = logging.getLogger("ingest.janitor")

EVERY_S = 3600.0
# An event of our catalogue got its keys when it was stored, unless its name was unknown then.
_UNFOLDED = """
SELECT count(*) FROM chain_events WHERE name = ANY($1) AND NOT EXISTS (SELECT FROM event_keys WHERE event_id = id)
"""


async def keep_tidy(database: Pool, days: int) -> None:
    """Delete outbox entries older than ``days``, and warn of events that were never folded; once an hour, for ever."""
    while True:
        try:
            await warn_of_unfolded(database)
            await delete_expired(database, days)
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("retention waits for postgres", extra={"error": repr(error)})
        await asyncio.sleep(EVERY_S)


async def warn_of_unfolded(database: Pool) -> int:
    """Say how many events were stored before the catalogue knew them; only a rebuild folds these."""
    async with borrowed(database, COMMAND_S) as connection:
        count: int = await connection.fetchval(_UNFOLDED, list({event.name for event in CATALOGUE}))
    if count:
        log.warning("stored events wait for `python -m ingest rebuild --swap`", extra={"events": count})
    return count


async def delete_expired(database: Pool, days: int) -> int:
    """Delete them now; returns the number of emissions deleted."""
    total = 0
    while True:
        async with borrowed(database, COMMAND_S) as connection, connection.transaction():
            gone = await outbox.delete_older(connection, days)
        total += gone
        if not gone:
            if total:
                log.info("outbox entries deleted by age", extra={"rows": total})
            return total
