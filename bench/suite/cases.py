"""What is measured. A case yields runs: the servers take turns in each round, each started anew for each run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from bench.suite.figures import Run
from bench.suite.load import Found, Load
from bench.suite.servers import NAMES, OURS, WAYS, Ground, Name, Server, Way, serving
from fanout.tokens import Tokens
from shared.settings import fanout_settings
from tests.builders import ALICE, BOB, CAROL, DAVE
from tests.processes import base_environment

ONE_ROOM: Final = ('420["join-marketplace"]',)
OWN_ROOM: Final = ('420["join-stream-room","%d"]',)
MANY: Final = 10_000
SMALL: Final = 420  # bytes of a payload
WINDOW: Final = 8
LEAVE_S: Final = 15.0
SCHEDULED: Final = 4  # times as long a schedule is kept: p99 of 2 s at 60 events/s is that of its slowest event
DRAIN_S: Final = 15.0  # at most, for events that are still on their way


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often. ``many`` is the large number of sockets, smaller only to try the suite itself."""

    rounds: int
    seconds: float
    many: int = MANY


@dataclass(frozen=True, slots=True)
class Bench:
    """What a case works with."""

    ground: Ground
    load: Load
    effort: Effort

    def fresh(self, name: Name, way: Way, use: Callable[[Server], Found]) -> Found:
        """What one server, started for this, is found to do; Redis is empty at its start."""
        with Redis.from_url(self.ground.valkey.url) as redis:
            redis.flushall()
        with serving(self.ground, name, way) as server:
            return use(server)


Case = Callable[[Bench, int], Iterator[Run]]


def _publish(
    bench: Bench,
    server: Server,
    *,
    conns: int,
    size: int = SMALL,
    window: int = WINDOW,
    rate: float = 0,
    rooms: int = 1,
) -> Found:
    # what is on its way in a closed loop arrives, however slow the server; what is late on a schedule may pile up
    pace = ["--rate", str(rate)] if rate else ["--window", str(window), "--drain", str(DRAIN_S)]
    options = ["--bytes", str(size), *pace]
    if rooms > 1:
        options += ["--room", "stream:%d", "--rooms", str(rooms)]
    send = OWN_ROOM if rooms > 1 else ONE_ROOM
    seconds = bench.effort.seconds * (SCHEDULED if rate else 1)
    return bench.load.publish(server, conns, *options, send=send, seconds=seconds)


def throughput(bench: Bench, turn: int) -> Iterator[Run]:
    for way in WAYS:
        for conns in (100, 1_000, 5_000):
            for name in NAMES:
                found = bench.fresh(name, way, partial(_publish, bench, conns=conns))
                yield Run(name, f"{way}, {conns:,} sockets", turn, found)


def one(bench: Bench, turn: int) -> Iterator[Run]:
    for way in WAYS:
        for name in NAMES:
            found = bench.fresh(name, way, partial(_publish, bench, conns=1_000, window=1))
            yield Run(name, way, turn, found)


def latency(bench: Bench, turn: int) -> Iterator[Run]:
    for rate in (60, 300):
        for name in NAMES:
            found = bench.fresh(name, "through Redis", partial(_publish, bench, conns=1_000, rate=rate))
            yield Run(name, f"{rate} events/s to 1,000 sockets", turn, found, offered=rate * 1_000)


def payload(bench: Bench, turn: int) -> Iterator[Run]:
    for label, size in (("100 B", 100), ("420 B", SMALL), ("4 KiB", 4_096), ("16 KiB", 16_384)):
        for name in NAMES:
            found = bench.fresh(name, "through Redis", partial(_publish, bench, conns=1_000, size=size))
            yield Run(name, label, turn, found)


def rooms(bench: Bench, turn: int) -> Iterator[Run]:
    many = bench.effort.many
    for way in WAYS:
        for name in NAMES:
            use = partial(_publish, bench, conns=many, rooms=many, window=1_000)
            yield Run(name, f"{way}, 1,000 events on the way", turn, bench.fresh(name, way, use))
    for name in NAMES:
        use = partial(_publish, bench, conns=many, rooms=many, rate=float(many))
        found = bench.fresh(name, "through Redis", use)
        yield Run(name, f"through Redis, {many:,} events/s offered", turn, found, offered=many)


def connections(bench: Bench, turn: int) -> Iterator[Run]:
    """Handshakes and memory are two looks at the same connections."""
    for label, *options in (("anonymous",), ("permessage-deflate offered", "--deflate")):
        for name in NAMES:
            found = bench.fresh(name, _way(name), partial(_connect, bench, options))
            yield Run(name, label, turn, found)
    found = bench.fresh(OURS, _way(OURS), partial(_connect, bench, ["--auths", str(_tokens(bench))]))
    yield Run(OURS, "a token each", turn, found)


def _connect(bench: Bench, options: Sequence[str], server: Server) -> Found:
    """Connect, with what a session takes in Redis: it outlives the connection."""
    with Redis.from_url(bench.ground.valkey.url) as redis:
        before = _used(redis)
        found = bench.load.connect(server, bench.effort.many, *options, settle=2)
        stored = sum(1 for _ in redis.scan_iter("*:session:*", count=1_000))
        if stored:
            found |= {"sessions": stored, "redis_bytes_per_session": (_used(redis) - before) / stored}
    return found


def _used(redis: Redis) -> int:
    used: int = redis.info("memory")["used_memory"]
    return used


def _tokens(bench: Bench) -> Path:
    """CONNECTs with a token each, as another back end would issue them."""
    settings = fanout_settings(base_environment("postgresql://nowhere/none", "redis://nowhere", "bench"))
    nowhere = AsyncRedis(host="nowhere")  # only revoking asks it
    tokens = Tokens(settings, nowhere)
    people = (ALICE, BOB, CAROL, DAVE)
    issued = (tokens.issue(people[i % len(people)])[0] for i in range(bench.effort.many))
    path = bench.ground.folder / "auths"
    path.write_text("".join(f'{{"token":"{token}"}}\n' for token in issued))
    return path


def leaving(bench: Bench, turn: int) -> Iterator[Run]:
    for name in NAMES:
        found = bench.fresh(name, _way(name), partial(_leave, bench))
        yield Run(name, f"{bench.effort.many:,} sockets", turn, found)


def _leave(bench: Bench, server: Server) -> Found:
    """End a crowd at once, while ten others hear an event every 50 ms."""
    process = psutil.Process(server.pid)

    def cpu_s() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    def probe() -> Found:
        options = ["--room", "stream:0", "--rate", "20", "--bytes", "100", "--drain", str(2 * DRAIN_S)]
        send = ['420["join-stream-room","0"]']
        return bench.load.publish(server, 10, *options, send=send, seconds=LEAVE_S + 1.5, warmup=0.5)

    asked = [it for packet in ONE_ROOM for it in ("--send", packet)]
    with bench.load.crowd(server, bench.effort.many, *asked) as crowd, ThreadPoolExecutor(1) as thread:
        probing = thread.submit(probe)
        time.sleep(2)  # its handshakes, its pause and its first events
        before = cpu_s()
        crowd.kill()
        time.sleep(LEAVE_S)
        spent = cpu_s() - before
        found = probing.result()
    return found | {"leave_cpu_s": spent}


def _way(name: Name) -> Way:
    """Ours as it is deployed, with sessions in Redis; the others where they are fastest, with none."""
    return "through Redis" if name == OURS else "in process"


CASES: Final[dict[str, Case]] = {
    "throughput": throughput,
    "one": one,
    "latency": latency,
    "payload": payload,
    "rooms": rooms,
    "connections": connections,
    "leaving": leaving,
}
ROUNDS_MAX: Final = {"leaving": 2}  # of cases that take long and vary little
