"""The page in a real browser, at the end of the real pipeline."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Route, expect

from bench.deliveries import block, body, created, withdrawn
from tests.builders import a_delivery, stream_created
from tests.builders import block as chain_block
from tests.end_to_end.browser import OWNER, chromium, give_wallet, opened, photographed, violations
from tests.posting import post
from tests.processes import Processes

pytestmark = pytest.mark.alone

FIRST = block(100, [created(1)])
DRAWN = block(101, [withdrawn(1, 250)], salt="fork a")


async def late(route: Route) -> None:
    await asyncio.sleep(1)
    await route.continue_()


async def test_events_arrive_survive_a_reload_and_an_outage_and_are_taken_back(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await post(ingest, body(FIRST))
    faults: list[str] = []
    async with chromium() as browser:
        context = await browser.new_context()
        page = await opened(context, node.url, faults)
        stream = page.locator('#streams > li[data-stream-id="1"]')
        await expect(stream).to_have_attribute("data-status", "active")
        await post(ingest, body(DRAWN))
        drawn = page.locator('#events > li[data-names~="stream:withdrawal"]')
        await expect(drawn).to_have_count(1)
        await expect(stream).to_contain_text("0.00000250 of")
        await post(ingest, body(block(102, [created(2)])))
        await expect(page.locator('#streams > li[data-stream-id="2"]')).to_have_attribute("data-status", "active")

        await page.goto("about:blank")
        await post(ingest, body(block(103, [withdrawn(2, 500)])))
        await page.route("**/api/streams?**", late)  # rooms that are found late resume from the same place
        await page.goto(node.url)
        await expect(drawn).to_have_count(1)
        await expect(drawn).to_contain_text("Told afterwards")
        await expect(page.locator('#streams > li[data-stream-id="2"]')).to_contain_text("0.00000500 of")

        await context.set_offline(True)
        await expect(page.locator(".status")).to_have_attribute("data-status", "offline")
        await expect(page.locator(".status")).to_contain_text("Offline")
        await post(ingest, body(block(104, [withdrawn(2, 700)])))
        await context.set_offline(False)
        await expect(page.locator(".status")).to_have_attribute("data-status", "live")
        await expect(page.locator('#streams > li[data-stream-id="2"]')).to_contain_text("0.00001200 of")
        await expect(drawn).to_have_count(2)

        again = body(block(101, [], salt="fork b"), rollback=[DRAWN])
        await post(ingest, again)
        reorg = page.locator('#events > li[data-op="rollback"]')
        await expect(reorg.filter(has_text="undone by a reorganisation")).to_have_count(1)
        await expect(reorg.locator(".corrected")).to_contain_text("is back to 0.00000000 sBTC")
        await expect(stream).to_contain_text("0.00000000 of")
        await expect(page.locator(".block[data-off] s")).to_have_count(1)
        await photographed(page, "reorg")
        await expect(page.locator("#duplicated")).to_have_text("0")
        # the page's own check: a second connection is told everything since, and misses nothing that was shown
        await expect(page.locator("#lost")).to_have_text("0", timeout=30_000)
        assert [] == [it for it in faults if "ERR_INTERNET_DISCONNECTED" not in it]


async def test_an_event_that_was_shown_is_struck_when_its_block_is_taken_back(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    async with chromium() as browser:
        page = await opened(await browser.new_context(), node.url)
        await post(ingest, body(FIRST))
        await post(ingest, body(DRAWN))
        drawn = page.locator('#events > li[data-names~="stream:withdrawal"][data-op="apply"]')
        await expect(drawn).to_have_count(1)
        await expect(drawn).not_to_have_attribute("data-retracted", "true")
        await post(ingest, body(block(101, [], salt="fork b"), rollback=[DRAWN]))
        await expect(drawn.locator("s")).to_have_count(1)
        await expect(page.locator("#retracted")).to_have_text("1")


async def test_a_wallet_signs_in_is_told_and_told_that_it_did_not_happen(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    told = chain_block(7, stream_created(recipient=OWNER))
    async with chromium() as browser:
        context = await browser.new_context(bypass_csp=True)
        await give_wallet(context)
        page = await opened(context, node.url)
        await page.get_by_role("button", name="Sign in with a wallet").click()
        await expect(page.locator(".party").first).to_have_attribute("title", OWNER)
        other = await opened(context, node.url)  # sessionStorage is each tab's own: this one is nobody's
        await page.bring_to_front()
        held = await page.evaluate(
            "navigator.locks.query().then((it) => [it.held, it.pending].map((list) =>"
            " list.filter((lock) => lock.name.endsWith(':leader')).length))"
        )
        assert [1, 1] == held

        await post(ingest, a_delivery().applies(told).encoded("v1"))
        toast = page.locator(".bitpay-toast")
        await expect(toast).to_contain_text("A stream for you")
        await expect(page.get_by_role("button", name="Notifications, 1 unread")).to_be_visible()
        await photographed(page, "toast")
        await post(ingest, a_delivery().rolls_back(told).encoded("v2"))
        await expect(toast.filter(has_text="Reversed by a chain reorganisation")).to_have_count(1)
        bell = page.get_by_role("button", name="Notifications")
        await bell.click()
        row = page.locator(".bitpay-panel li")
        await expect(row).to_have_attribute("data-status", "retracted")
        await post(ingest, a_delivery().applies(told).encoded("v1"))
        await expect(row).to_have_attribute("data-status", "unread")
        await row.get_by_role("button", name="Mark as read").click()
        await expect(row).to_have_attribute("data-status", "read")
        await expect(page.get_by_role("button", name="Notifications, 1 unread")).to_have_count(0)
        assert [] == await violations(page)
        await photographed(page, "notifications")
        await page.reload()
        await expect(page.locator(".party").first).to_have_attribute("title", OWNER)
        await expect(page.locator(".bitpay-toast")).to_have_count(0)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("button", name="Sign in with a wallet")).to_be_visible()
        await expect(other.locator(".bitpay-toast")).to_have_count(0)


async def test_the_page_is_sound_in_both_lights_and_on_a_phone(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    for number in range(1, 6):
        await post(ingest, body(block(100 + 2 * number, [created(number)])))
        await post(ingest, body(block(101 + 2 * number, [withdrawn(number, 1000 * number)])))
    async with chromium() as browser:
        for name, width, light in (("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")):
            context = await browser.new_context(
                bypass_csp=True, color_scheme=light, viewport={"width": width, "height": 900}, reduced_motion="reduce"
            )
            page = await opened(context, node.url)
            await post(ingest, body(block(200 + width + len(name), [withdrawn(1, 1)])))
            await expect(page.locator("#events > li").first).to_be_visible()
            await expect(page.locator("#nodes td").first).to_be_visible()
            await expect(page.locator(".trips li").first).to_be_visible()
            assert [] == await violations(page), name
            assert width == await page.evaluate("document.documentElement.scrollWidth")
            await photographed(page, name)
            await context.close()


async def test_the_page_and_its_status_can_be_switched_off(processes: Processes) -> None:
    node = processes.start("fanout", PAGE="off")
    async with chromium() as browser:
        page = await (await browser.new_context()).new_page()
        for path in ("/", "/examples", "/page/status.json", "/page/page.js", "/page/examples.js"):
            answer = await page.goto(node.url + path)
            assert answer is not None
            assert 404 == answer.status
