"""Posting deliveries to a running ingest, as Chainhook does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx

from tests.processes import SECRET, WEBHOOK, Process

HEADERS = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}


async def post(process: Process, body: bytes, timeout: float = 30) -> dict[str, int]:
    """Deliver one body; returns the counts of the answer. Fails unless it is a 200."""
    async with httpx.AsyncClient(headers=HEADERS, timeout=timeout) as client:
        answer = await client.post(process.url + WEBHOOK, content=body)
    assert 200 == answer.status_code, answer.text
    counts: dict[str, int] = answer.json()
    return counts


async def post_all(targets: Sequence[Process], bodies: Sequence[bytes], connections: int) -> list[dict[str, int]]:
    """Deliver bodies over so many connections at once, spread over the processes."""
    left = iter(bodies)
    answers: list[dict[str, int]] = []

    async def connection(url: str) -> None:
        async with httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
            for body in left:
                answer = await client.post(url, content=body)
                assert 200 == answer.status_code, answer.text
                answers.append(answer.json())

    async with asyncio.TaskGroup() as tasks:
        for i in range(connections):
            tasks.create_task(connection(targets[i % len(targets)].url + WEBHOOK))
    return answers
