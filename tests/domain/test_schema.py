"""Everything that is ever said is as the table says, and everything in the table is said."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from deploy.catalogue.source import is_flat
from ingest.broadcast import read_broadcast, say
from ingest.record import Incoming, record
from shared.database import Connection, Pool
from shared.domain.catalogue import CATALOGUE
from shared.domain.notice import TYPES
from shared.domain.schema import SAID
from tests.builders import ALICE, BOB, CAROL, CONTRACTS, DAVE, ADelivery, a_delivery, block, stream_created, tx
from tests.ingest.chain_law import TXS, Telling, tellings
from tests.ingest.test_catalogue import CASES
from tests.prints import access, created, market, obligation, treasury
from tests.said import DOCUMENT, FACTS, Heard, closed, hold, kind_of, validator
from tests.stored import spoken

NOW: Final = 1_770_000_000_000_000  # unix µs


@asynccontextmanager
async def undone(database: Pool) -> AsyncIterator[Connection]:
    """A connection whose work is gone afterwards."""
    async with database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield connection
        finally:
            await transaction.rollback()


async def said_of(database: Pool, deliveries: Sequence[ADelivery]) -> set[Heard]:
    """Record these deliveries, and hold what they make us say."""
    async with undone(database) as connection:
        for number, delivery in enumerate(deliveries):
            await record(connection, [Incoming(delivery.read(), NOW + number)], CONTRACTS)
        return hold(it[2:] for it in await spoken(connection))


def there_and_back(*txs: Any) -> list[ADelivery]:
    """A block for each transaction; then the last one is taken back, then all are."""
    blocks = [block(7 + number, it) for number, it in enumerate(txs)]
    return [
        a_delivery().applies(*blocks),
        a_delivery().rolls_back(*blocks[-1:]),
        a_delivery().applies(*blocks[-1:]),
        a_delivery().rolls_back(*reversed(blocks)),
    ]


LISTED = market("nft-listed", stream_id=1, seller=ALICE, price=900, listed_at=8)
RESERVED = market("purchase-initiated", stream_id=1, buyer=DAVE, payment_id="pay", expires_at=1015)
REPRICED = market("listing-price-updated", stream_id=1, seller=ALICE, old_price=900, new_price=800)
GIVEN = obligation("transferred", stream_id=1, token_id=1, from_=ALICE, to=CAROL, note="gift")
BACK = obligation("transferred", stream_id=1, token_id=1, from_=CAROL, to=ALICE, note="back")
SOLD = market("direct-purchase-completed", stream_id=1, buyer=DAVE, seller=ALICE, price=900, sale_id=1)
ADD = {"new_admin": BOB, "proposer": CONTRACTS.core.partition(".")[0]}
STORIES: Final = [
    # an offer that ends without a print, comes back, and changes under a rollback
    there_and_back(tx(*created(1, ALICE)), tx(LISTED), tx(RESERVED), tx(GIVEN), tx(BACK)),
    there_and_back(tx(*created(1, ALICE)), tx(LISTED), tx(GIVEN)),
    there_and_back(tx(*created(1, ALICE)), tx(LISTED), tx(REPRICED)),
    there_and_back(tx(LISTED), tx(RESERVED)),
    # a payer who moves with a sale, of which the core contract's print is not told
    there_and_back(tx(*created(1, ALICE)), tx(LISTED), tx(SOLD)),
    there_and_back(tx(treasury("fee-collected", amount=9, caller=DAVE, new_balance=9)), tx(stream_created(1))),
    there_and_back(tx(access("protocol-paused", paused_by=ALICE))),
    # nothing is known of what these speak of
    *(there_and_back(it) for it in TXS),
    there_and_back(*TXS),
]


async def test_all_that_is_said_is_in_the_table_and_all_in_the_table_is_said(database: Pool) -> None:
    heard: set[Heard] = set()
    for case in CASES:
        heard |= await said_of(database, there_and_back(*case.before, tx(*case.told, sender=DAVE)))
    for story in STORIES:
        heard |= await said_of(database, story)
    assert sorted(map(str, in_table())) == sorted({str(it) for it in heard if it.type not in TYPES})
    for name in ("notification:new", "notification:retracted"):
        assert set(TYPES) == {it.type for it in heard if it.name == name}


def in_table() -> Iterator[Heard]:
    for name, its in SAID.items():
        for it in its:
            for room, roles in it.heard.items():
                for type_ in it.types:
                    if type_ not in TYPES:
                        yield from (Heard(name, it.data.__name__, type_, room, role) for role in roles or (None,))


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(steps=tellings())
async def test_whatever_happens_is_said_in_the_words_of_the_table(database: Pool, steps: list[Telling]) -> None:
    async with undone(database) as connection:
        for number, step in enumerate(steps):
            await record(connection, [Incoming(step.read(), NOW + number)], CONTRACTS)
        hold(it[2:] for it in await spoken(connection))


async def test_a_broadcast_is_as_the_document_says(database: Pool) -> None:
    for name, channel in DOCUMENT["channels"].items():
        if "broadcast" in channel["messages"]:
            asked = {"type": name, "event": "notice", "payload": {"text": "hello", "n": [1, None]}}
            asked |= {"user": {"target": ALICE}, "stream": {"target": "7"}}.get(name, {})
            async with undone(database) as connection:
                await say(connection, read_broadcast(asked, "testnet"), "key", NOW)
                [(*_, room, event, said)] = await spoken(connection)
            assert (name, "notice") == (kind_of(room), event)
            schema = closed(channel["messages"]["broadcast"]["payload"])
            schema["properties"]["data"] = {"type": "object"}
            Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(said)


@pytest.mark.parametrize("name", SAID)
def test_a_name_that_repeats_its_data_has_no_field_of_the_envelope_in_it(name: str) -> None:
    for it in SAID[name]:
        fields = it.data.__required_keys__ | it.data.__optional_keys__
        assert not fields & FACTS
        assert not is_flat(name) or not fields & {"type", "role", "data", "meta"}


def test_the_table_names_what_the_catalogue_s_sources_name() -> None:
    """Each name that a source has is in the table, said in a test or not."""
    sources = {it.__module__: __import__(it.__module__, fromlist=["_"]) for it in CATALOGUE}
    named: set[str] = set()
    for module in sources.values():
        with open(module.__file__) as source:  # noqa: PTH123 - a module's own file
            named |= set(re.findall(r'"((?:stream|nft|marketplace|treasury|access-control):[a-z-]+)"', source.read()))
    assert named <= set(SAID)


def test_a_word_more_or_of_another_type_is_found() -> None:
    """The validator is strict; else the tests above would hold nothing."""
    data = {"paused": True, "txHash": "0x", "blockHeight": 1, "blockHash": "0x", "timestamp": 1}
    meta = {"v": 1, "offset": "1-0", "id": "e", "room": "global", "op": "rollback", "event": "access-protocol-paused"}
    meta |= {"contract": "c", "txIndex": 0, "eventIndex": 0, "reapplied": False, "late": False}
    good: dict[str, Any] = {"type": "reverted", "data": data, "meta": meta}
    found = validator("access-control:protocol", "global")
    assert found.is_valid(good)
    for bad in (
        {**good, "more": 1},
        {**good, "role": "admin"},
        {**good, "type": "paused"},
        {**good, "data": {**data, "more": 1}},
        {**good, "data": {**data, "paused": "true"}},
        {**good, "data": {**data, "blockHeight": "1"}},
        {**good, "meta": {**meta, "more": 1}},
        {**good, "meta": {**meta, "event": "protocol-paused"}},
        {**good, "meta": {name: it for name, it in meta.items() if name != "late"}},
    ):
        assert not found.is_valid(bad), bad
