"""Every server of the benchmark delivers every event, so that the suite works when it is wanted."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from bench.suite.load import Load, build
from bench.suite.servers import NAMES, WAYS, CannotRun, Cores, Ground, Name, Way, serving
from deploy.local.services import Valkey
from tests.processes import Processes

CONNS = 20

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler for bench/load.c; CI has one"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("load"))


@pytest.fixture
async def ground(valkey: Valkey, processes: Processes, database_url: str, tmp_path: Path) -> Ground:
    connection = await asyncpg.connect(database_url)
    epoch = await connection.fetchval("SELECT epoch FROM outbox_head")
    await connection.close()
    try:
        cores = Cores.of_this_machine()
    except CannotRun:
        cores = Cores(0, 0)  # slower, and as right
    return Ground(valkey, processes, epoch, tmp_path, cores)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
async def test_a_server_tells_every_socket_every_event_once(
    ground: Ground, program: Path, name: Name, way: Way
) -> None:
    def measure() -> None:
        load = Load(program, ground.cores)
        with serving(ground, name, way) as server:
            together = load.publish(server, CONNS, send=['420["join-marketplace"]'], seconds=0.5, warmup=0.2)
            own = ["--room", "stream:%d", "--rooms", str(CONNS), "--rate", "200"]
            apart = load.publish(server, CONNS, *own, send=['420["join-stream-room","%d"]'], seconds=0.5, warmup=0.2)
        for found in (together, apart):
            assert CONNS == found["joined"]
            assert 0 == sum(found[it] for it in ("missing", "twice", "disordered", "closed", "errors")), found
        assert together["deliveries_per_s"] > 10 * CONNS
        assert 200 == pytest.approx(apart["deliveries_per_s"], rel=0.2)

    await asyncio.to_thread(measure)


async def test_the_load_client_sees_what_is_lost(ground: Ground, program: Path) -> None:
    """It is told of twenty rooms and joins one: a suite that finds no fault here would find none anywhere."""

    def measure() -> None:
        load = Load(program, ground.cores)
        with serving(ground, "Node socket.io", "in process") as server:
            options = ["--room", "stream:%d", "--rooms", str(CONNS), "--rate", "200", "--drain", "0.2"]
            found = load.publish(server, CONNS, *options, send=['420["join-stream-room","1"]'], seconds=0.5, warmup=0.1)
        assert found["missing"] > 0  # the rooms that nobody joined
        assert found["errors"] > 0  # events of a room that was another's

    await asyncio.to_thread(measure)
