"""What the documents say holds: variables, metrics, events, and the guide that adds one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from prometheus_client import Counter, Gauge, Histogram

import fanout.metrics
import ingest.metrics
from bench.deliveries import CORE, RECIPIENT, block, body, created
from ingest.delivery import parse_json, read_delivery
from ingest.record import Incoming, record
from shared import outbox
from shared.database import Pool
from shared.domain import catalogue
from shared.domain.catalogue import CATALOGUE
from shared.domain.catalogue.core import _StreamEvent
from shared.domain.entry import Emission
from shared.domain.event import Party, ascii_text
from shared.domain.workset import Step
from shared.settings import IngestSettings, database_url, fanout_settings, ingest_settings

ROOT = Path(__file__).resolve().parent.parent


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__(given)
        self.names: set[str] = set()

    def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)


def test_the_readme_lists_exactly_the_variables_that_are_read_and_by_whom(environment: dict[str, str]) -> None:
    read: dict[str, set[str]] = {}
    for process, reader in (("ingest", ingest_settings), ("fanout", fanout_settings), ("migrations", database_url)):
        asked = Asked(environment)
        reader(asked)
        for name in asked.names:
            read.setdefault(name, set()).add(process)
    table = (ROOT / "README.md").read_text().partition("## Configuration")[2].partition("## Deploy")[0]
    said: dict[str, set[str]] = {}
    words = {"all": {"ingest", "fanout", "migrations"}, "both": {"ingest", "fanout"}}
    for names, reader_said in re.findall(r"^\| (`[A-Z_`, ]+`) \| (\w+) \|", table, re.MULTILINE):
        for name in re.findall(r"[A-Z_]+", names):
            said[name] = words.get(reader_said, {reader_said})
    assert read == said


def test_operations_lists_exactly_the_metrics_that_there_are() -> None:
    said = set(re.findall(r"`(bitpay_\w+)", (ROOT / "docs/operations.md").read_text()))
    found = set()
    for module in (ingest.metrics, fanout.metrics):
        for metric in vars(module).values():
            if isinstance(metric, (Counter, Gauge, Histogram)):
                counts = isinstance(metric, Counter)
                found |= {f"{family.name}_total" if counts else family.name for family in metric.describe()}
    assert found == said


def test_every_event_of_the_catalogue_has_its_row() -> None:
    text = (ROOT / "docs/events.md").read_text().partition("## Events spoken of")[2].partition("## When")[0]
    assert [event.name for event in CATALOGUE] == re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)


async def test_the_guide_adds_an_event(
    database: Pool, ingest_config: IngestSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class in the guide, run as it stands there, through the real record path."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/adding-an-event.md").read_text(), re.DOTALL)
    assert code
    names = {
        it.__name__: it for it in (dataclass, replace, _StreamEvent, Emission, Step, Annotated, ClassVar, Iterator)
    }
    names |= {"Party": Party, "ascii_text": ascii_text}
    module = {**names, "__name__": __name__}
    exec(compile(code[1], "adding-an-event.md", "exec"), module)
    noted = module["StreamNoted"]
    monkeypatch.setitem(catalogue._BY_NAME, (noted.role, noted.name), noted)
    sent = block(100, [created(1), {"event": "stream-noted", "stream-id": 1, "author": RECIPIENT, "note": "hello"}])
    delivery = read_delivery(parse_json(body(sent)), ingest_config.contracts, "testnet")
    async with database.acquire() as connection, outbox.held(connection):
        await record(connection, [Incoming(delivery, time.time_ns() // 1000)], ingest_config.contracts)
        entries = await outbox.read(connection, after=1)
        assert RECIPIENT == await connection.fetchval("SELECT sender FROM streams WHERE stream_id = 1")
    said, *_ = entries[0].spoken
    assert "stream:1" == said.room
    assert said.words.startswith(b'"stream:noted",{"type":"stream-noted","data":{"note":"hello",')
    assert CORE.encode() in said.words
