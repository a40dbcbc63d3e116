"""Questions to Redis over a connection of their own: each gets its own answer, or none and the connection ends."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import NoScriptError, RedisError, ResponseError

from shared import feed
from shared.feed import RedisClient, open_redis


async def client_of(redis: RedisClient) -> int:
    """The connection over which is asked now."""
    return int(await redis.ask("CLIENT", "ID"))


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
async def test_an_answer_comes_whole_in_however_many_pieces(redis: RedisClient, size: int) -> None:
    assert await redis.ask("ECHO", b"x" * size) == b"x" * size


async def test_questions_at_one_time_have_a_connection_each_which_are_kept(redis: RedisClient) -> None:
    words = [f"{i}" for i in range(10)]
    assert await asyncio.gather(*(redis.ask("ECHO", it) for it in words)) == [it.encode() for it in words]
    used = {await client_of(redis) for _ in range(5)}
    assert len(used) == 1


async def test_a_question_that_is_given_up_leaves_its_answer_to_nobody(redis: RedisClient, prefix: str) -> None:
    before = await client_of(redis)
    waiting = asyncio.create_task(redis.ask("BLPOP", prefix, 5, wait_s=5))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await redis.rpush(prefix, "late")
    assert await redis.ask("ECHO", "mine") == b"mine"
    assert await client_of(redis) != before


async def test_what_does_not_answer_in_time_is_not_asked_again(
    redis: RedisClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await client_of(redis)
    monkeypatch.setattr(feed, "ANSWER_S", 0.2)
    with pytest.raises(TimeoutError):
        await redis.ask("BLPOP", prefix, 5)
    monkeypatch.undo()
    assert await redis.ask("ECHO", "mine") == b"mine"
    assert await client_of(redis) != before


async def test_a_connection_that_redis_closes_fails_what_waits_and_is_replaced(redis: RedisClient, prefix: str) -> None:
    number = await client_of(redis)
    waiting = asyncio.create_task(redis.ask("BLPOP", prefix, 5, wait_s=5))
    await asyncio.sleep(0.1)
    await redis.client_kill_filter(_id=str(number))
    with pytest.raises(RedisError):
        await waiting
    assert await redis.ask("ECHO", "again") == b"again"
    number = await client_of(redis)
    await redis.client_kill_filter(_id=str(number))  # while nobody waits
    await asyncio.sleep(0.1)
    assert await redis.ask("ECHO", "again") == b"again"


async def test_a_script_that_is_unknown_is_told_apart_and_a_refusal_ends_the_connection(redis: RedisClient) -> None:
    before = await client_of(redis)
    with pytest.raises(NoScriptError):
        await redis.ask("EVALSHA", "0" * 40, 0)
    assert await client_of(redis) == before
    with pytest.raises(ResponseError, match="unknown command"):
        await redis.ask("NOTACOMMAND")
    assert await client_of(redis) != before


async def test_a_word_that_redis_cannot_have_does_no_harm_to_the_next_question(
    redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await client_of(redis)
    monkeypatch.setattr(feed, "ANSWER_S", 0.1)
    with pytest.raises(TypeError):
        await redis.ask("ECHO", None)  # type: ignore[arg-type]
    monkeypatch.undo()
    await asyncio.sleep(0.2)
    assert await client_of(redis) == before


async def test_what_is_no_redis_is_said_to_be_none() -> None:
    left = asyncio.Event()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_redis(f"redis://127.0.0.1:{port}") as client:
        with pytest.raises(feed.OUTAGES):
            await client.ask("PING")
        await left.wait()
