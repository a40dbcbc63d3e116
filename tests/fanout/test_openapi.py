"""The document says what the routes do: whatever is asked, the answer is one that it lists."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fanout.openapi import document
from fanout.routes import ROUTES
from shared.database import Pool, open_database
from shared.domain.chain import INT64_MAX
from shared.domain.rows import AccessContract, MarketBackend, Nft
from tests.builders import ALICE, BOB, CAROL, CONTRACTS
from tests.fanout.served import LISTING, PURCHASE, STREAM, every_list, hold, serving


def closed(schema: Any) -> Any:
    """The document, with no property allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(it) for it in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if schema.get("type") == "object" and "properties" in schema else {}
    return {name: closed(it) for name, it in schema.items()} | more


DOCUMENT = closed(document(ROUTES))
PATHS: dict[str, Any] = {path: methods["get"] for path, methods in DOCUMENT["paths"].items()}
WORDS = st.text(max_size=8)


def check(path: str, answer: httpx.Response) -> None:
    """The document lists this status for this path, and the body is as it says."""
    listed = PATHS[path]["responses"]
    assert str(answer.status_code) in listed, (answer.url, answer.status_code, answer.text)
    content = listed[str(answer.status_code)].get("content")
    if content is None:
        assert b"" == answer.content
        return
    assert "application/json" == answer.headers["content-type"].partition(";")[0]
    schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(answer.json())


def right(parameter: dict[str, Any], nexts: list[str]) -> st.SearchStrategy[str]:
    """What the document allows for a parameter."""
    match parameter["schema"]:
        case {"enum": words}:
            return st.sampled_from(words)
        case {"minimum": least, "maximum": most}:
            return st.integers(least, most).map(str)
        case {"format": "stacks-principal"}:
            return st.sampled_from([ALICE, BOB, CAROL, CONTRACTS.marketplace])
        case {"pattern": _}:
            return (st.integers(0, 8) | st.integers(0, INT64_MAX)).map(str)
    assert "after" == parameter["name"]
    return st.sampled_from(nexts)


def wrong(parameter: dict[str, Any]) -> st.SearchStrategy[str]:
    """What it does not."""
    match parameter["schema"]:
        case {"enum": words}:
            return (WORDS | st.sampled_from(words).map(str.upper)).filter(lambda text: text not in words)
        case {"minimum": least, "maximum": most}:
            outside = st.integers(max_value=least - 1) | st.integers(min_value=most + 1)
            return (
                outside.map(str)
                | st.sampled_from(["1.0", "+1", "01", " 1", "٣", "1_0", "1e1", "null"])
                | WORDS.filter(lambda text: not text.isdecimal())
            )
        case {"format": "stacks-principal"}:
            return WORDS | st.sampled_from([ALICE.lower(), ALICE[:-1], f"{ALICE}.", f"{ALICE}.a b", ALICE[:-1] + "!"])
        case {"pattern": pattern}:
            beyond = st.integers(min_value=INT64_MAX + 1).map(str)
            return beyond | WORDS.filter(lambda text: not re.fullmatch(pattern, text))
    return WORDS.filter(lambda text: not re.fullmatch(r"[0-9a-f.]+", text))


@pytest.fixture
async def nexts(http: httpx.AsyncClient, database: Pool) -> dict[str, list[str]]:
    """Some of everything in the database; returns where each list can be gone on with."""
    on_offer = [Nft("obligation", 8, 8, owner=BOB), Nft("recipient", 8, 8, owner=BOB)]
    more = [AccessContract(CONTRACTS.core, True, ALICE, 5), MarketBackend(BOB, True, ALICE), PURCHASE, *on_offer]
    offered = [
        type(STREAM)(8),  # nothing is known of it
        type(LISTING)(8, ALICE, 900, 20, purchase_id=PURCHASE.event_id, status="pending"),
    ]
    await hold(database, *every_list(), *more, *offered)
    return {
        path: [(await http.get(path, params={"limit": str(limit)})).json()["next"] for limit in (1, 3, 5)]
        for path, described in PATHS.items()
        if any("after" == it["name"] for it in described["parameters"])
    }


@settings(max_examples=400)
@given(st.data())
async def test_every_answer_is_one_that_the_document_lists(
    http: httpx.AsyncClient,
    nexts: dict[str, list[str]],
    data: st.DataObject,
) -> None:
    path = data.draw(st.sampled_from(sorted(PATHS)))
    parameters = {it["name"]: it for it in PATHS[path]["parameters"]}
    given_ones = [it for it in parameters.values() if it["required"] or data.draw(st.booleans())]
    values = {it["name"]: data.draw(right(it, nexts.get(path, []))) for it in given_ones}
    for it in given_ones:
        if needed := it.get("x-needs"):
            values[needed] = data.draw(right(parameters[needed], []))
    faults = ["unknown", "repeated", "alone"] + ["wrong"] * 3
    fault = data.draw(st.sampled_from([None] * 4 + faults))
    pairs = list(values.items())
    match fault:
        case "unknown":
            pairs.append((data.draw(st.text(min_size=1, max_size=5).filter(lambda it: it not in parameters)), "1"))
        case "repeated" if queried := [pair for pair in pairs if "query" == parameters[pair[0]]["in"]]:
            pairs.append(data.draw(st.sampled_from(queried)))
        case "alone" if needing := [it for it in parameters.values() if it.get("x-needs") in values]:
            pairs = [pair for pair in pairs if pair[0] not in (needing[0]["x-needs"], needing[0]["name"])]
            pairs.append((needing[0]["name"], data.draw(right(needing[0], []))))
        case "wrong" if parameters:
            bad = parameters[data.draw(st.sampled_from(sorted(parameters)))]
            texts = wrong(bad)
            if "path" == bad["in"]:
                texts = texts.filter(lambda text: text not in ("", ".", "..") and "/" not in text)
            pairs = [pair for pair in pairs if pair[0] != bad["name"]] + [(bad["name"], data.draw(texts))]
        case _:
            fault = None
    in_path = {name: quote(text, safe="") for name, text in pairs if parameters.get(name, {}).get("in") == "path"}
    query = "&".join(f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in pairs if name not in in_path)
    answer = await http.get(f"{path.format(**in_path)}?{query}")
    check(path, answer)
    if fault:
        assert 400 == answer.status_code, answer.url
    else:
        assert answer.status_code in ((200, 404) if in_path else (200,)), answer.text


async def test_the_other_answers_are_listed_too(
    http: httpx.AsyncClient, nexts: dict[str, list[str]], environment: dict[str, str]
) -> None:
    asked = ((200, {}), (304, {"if-none-match": "*"}), (403, {"origin": "https://elsewhere.example"}))
    async with open_database("postgresql://x@127.0.0.1:1/x", "tests") as nowhere, serving(nowhere, environment) as away:
        for path in PATHS:
            url = path.format(id=8)
            answers = [(status, await http.get(url, headers=headers)) for status, headers in asked]
            for status, answer in [*answers, (503, await away.get(url))]:
                assert status == answer.status_code
                check(path, answer)


def test_every_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
        assert schema["properties"]
