"""Several statements in one round trip are what they would be one by one."""

from __future__ import annotations

from ingest.together import Reads, Writes
from shared.database import Pool


async def test_what_is_read_together_says_what_it_belongs_to_and_is_exact(database: Pool) -> None:
    reads = Reads()
    numbers = reads.add(
        "it.n, it.s", "unnest($1::numeric[], $2::text[]) AS it (n, s)", [2**128 - 1, None], ["a", "ü\"'"]
    )
    nobody = reads.add("seq", "outbox WHERE room = $1", "nowhere")
    truths = reads.add("it", "unnest($1::bool[]) AS it", [True, False])
    async with database.acquire() as connection:
        rows = await reads.fetch(connection)
        assert [] == await Reads().fetch(connection)
    assert [[2**128 - 1, "a"], [None, "ü\"'"]] == [row for number, row in rows if number == numbers]
    assert [] == [row for number, row in rows if number == nobody]
    assert [[True], [False]] == [row for number, row in rows if number == truths]


async def test_what_is_written_together_is_all_written_and_what_has_a_name_can_be_returned(database: Pool) -> None:
    writes = Writes()
    for number in range(12):  # parameters beyond nine must not be taken for others
        writes.add("INSERT INTO event_keys (aggregate, event_id) VALUES ($1, $2)", f"a{number}", f"e{number}")
    writes.add("INSERT INTO event_keys SELECT $1, $2 RETURNING aggregate, event_id", "last", "one", name="told")
    async with database.acquire() as connection:
        assert [("last", "one")] == [tuple(it) for it in await writes.execute(connection, "SELECT * FROM told")]
        assert [] == await Writes().execute(connection)
        kept = await connection.fetch("SELECT aggregate, event_id FROM event_keys")
    assert {("last", "one"), *((f"a{it}", f"e{it}") for it in range(12))} == {tuple(it) for it in kept}
