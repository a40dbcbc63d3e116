"""What ``fanout/upstream.py`` and ``fanout/manager.py`` use of python-socketio below its surface is still there."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import engineio
import pytest
import socketio
from engineio import async_socket
from engineio import packet as engine
from engineio.async_drivers import aiohttp as driver
from redis.asyncio import Redis
from socketio import async_manager, async_pubsub_manager, base_manager

from fanout.manager import EndsWithText, RedisStreamManager


@pytest.mark.parametrize(
    ("function", "digest"),
    [
        (socketio.AsyncServer._handle_event, "65178105ef8b"),
        (socketio.AsyncServer._handle_event_internal, "472e8b723a12"),
        (socketio.AsyncServer._handle_connect, "c97c480cf777"),
        (socketio.AsyncServer._handle_eio_connect, "76704886d944"),
        (socketio.AsyncServer._handle_eio_message, "bef50fc0e163"),
        (socketio.AsyncServer._handle_eio_disconnect, "9344593148b6"),
        (socketio.AsyncServer.disconnect, "7d2f76686c12"),
        (async_manager.AsyncManager.emit, "01ccd5b82b4f"),
        (async_pubsub_manager.AsyncPubSubManager.initialize, "e8a2b026ecea"),
        (async_pubsub_manager.AsyncPubSubManager._thread, "fa8d075729aa"),
        (async_pubsub_manager.AsyncPubSubManager.emit, "6cc46e0ff9b6"),
        (async_pubsub_manager.AsyncPubSubManager._handle_emit, "4284671be955"),
        (base_manager.BaseManager, "b393b4c05dbd"),
        (async_socket.AsyncSocket.send, "0437276ccba7"),
        (async_socket.AsyncSocket.poll, "826f58a9f360"),
        (async_socket.AsyncSocket.receive, "a91ae36ec2fb"),
        (async_socket.AsyncSocket.close, "faa2e9390254"),
        (async_socket.AsyncSocket._send_ping, "67db82a704ea"),
        (async_socket.AsyncSocket._upgrade_websocket, "820b83efe96a"),
        (async_socket.AsyncSocket._websocket_handler, "27f120df4d71"),
        (engine.Packet.encode, "8f3d5d869711"),
        (engineio.AsyncServer._handle_connect, "5bd7edc1d1ae"),
        (engineio.AsyncServer.handle_request, "1a8c878e3516"),
        (engineio.AsyncServer.generate_id, "b6a591454237"),
        (engineio.AsyncServer._bad_request, "af66afac6f6c"),
        (driver.WebSocket, "96fbcb0d1f45"),
    ],
    ids=lambda it: it.__qualname__ if callable(it) else "",
)
def test_upstream_is_what_it_was_when_we_read_it(function: Callable[..., Any], digest: str) -> None:
    """A change here is no fault: read what became of the function, then write down its new digest."""
    assert digest == hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]


@pytest.mark.parametrize("data", [None, (), "text", ({"a": 1}, "text")])
async def test_an_ephemeral_event_that_would_pass_for_a_durable_one_is_refused(redis: Redis, data: object) -> None:
    manager = RedisStreamManager(redis, "test", write_only=True)
    with pytest.raises(EndsWithText):
        await manager.emit("hello", data)
