"""Every hook and component beside its code, in a real browser, at the end of the real pipeline."""

from __future__ import annotations

import re

from playwright.async_api import Locator, Page, expect

from deploy.local.chainhook import Block
from tests.builders import ALICE, a_delivery, block, stream_created, stream_withdrawal
from tests.end_to_end.browser import OWNER, ROOT, chromium, give_wallet, opened, photographed, violations
from tests.posting import post
from tests.prints import market, treasury
from tests.processes import Process, Processes

FOLDER = ROOT / "client/page/examples"
HOOKS = (ROOT / "client/src/react.tsx", ROOT / "client/src/notices.tsx")
OFFERED = block(
    8,
    stream_withdrawal(amount=250),
    market("nft-listed", stream_id=1, seller=ALICE, price=5_000, listed_at=8),
    treasury("fee-collected", amount=700, caller=ALICE, new_balance=700),
)


async def applied(ingest: Process, *blocks: Block) -> None:
    await post(ingest, a_delivery().applies(*blocks).encoded("v1"))


def live(page: Page, name: str) -> Locator:
    return page.locator(f"#{name} .live")


def public() -> set[str]:
    """Hooks and components that the package offers; a provider shows nothing by itself."""
    text = "".join(it.read_text() for it in HOOKS)
    return set(re.findall(r"^export function (use\w+|[A-Z]\w+)\(", text, re.MULTILINE))


async def test_every_hook_and_component_is_live_beside_its_own_code(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    faults: list[str] = []
    async with chromium() as browser:
        page = await opened(await browser.new_context(), f"{node.url}/examples", faults)
        names = await page.locator("article").evaluate_all("(all) => all.map((it) => it.id)")
        assert public() == set(names)
        codes = await page.locator("article code").all_inner_texts()
        assert sorted(it.read_text().strip() for it in FOLDER.glob("*.tsx")) == sorted(codes)
        for name, code in zip(names, codes, strict=True):
            assert re.search(rf"import {{[^}}]*\b{name}\b", code), name

        await expect(live(page, "useStream")).to_contain_text("no stream 1 yet")
        await applied(ingest, block(7, stream_created()))
        await expect(live(page, "useStream")).to_contain_text("active")
        await expect(live(page, "useStreamEvents")).to_contain_text("created")
        await applied(ingest, OFFERED)
        await expect(live(page, "LiveStreamUpdates")).to_contain_text("0.00000250 sBTC was withdrawn")
        await expect(live(page, "useStream")).to_contain_text("0.00000250 sBTC")
        await expect(live(page, "useMarketplace")).to_contain_text("Stream 1 for 0.00005000 sBTC")
        await expect(live(page, "useMarketplaceEvents")).to_contain_text("listed for 0.00005000")
        await expect(live(page, "useTreasury")).to_contain_text("0.00000700 sBTC")
        await expect(live(page, "useTreasuryEvents")).to_contain_text("Fees: 1.")
        await expect(live(page, "useRealtime")).to_contain_text("Connected (live)")
        await expect(live(page, "RealtimeIndicator")).to_contain_text("Live")

        await post(ingest, a_delivery().rolls_back(OFFERED).applies(block(8, fork="b")).encoded("v1"))
        await expect(live(page, "useMarketplace")).to_contain_text("0 for sale")
        await expect(live(page, "useTreasury")).to_contain_text("0.00000000 sBTC")
        assert [] == [it for it in faults if "404" not in it]  # the stream that was not there yet


async def test_what_is_of_a_wallet_is_shown_to_who_signs_in(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    async with chromium() as browser:
        context = await browser.new_context(bypass_csp=True)
        await give_wallet(context)
        page = await opened(context, f"{node.url}/examples/")
        await expect(page.get_by_text("Sign in with a wallet to see yours.")).to_have_count(4)
        await page.get_by_role("button", name="Sign in with a wallet").click()
        await expect(page.locator(".party").first).to_have_attribute("title", OWNER)
        await applied(ingest, block(7, stream_created(recipient=OWNER)))
        await expect(live(page, "useUserEvents")).to_contain_text("stream:created, as recipient")
        await expect(live(page, "useNotifications")).to_contain_text("1 unread of 1")
        await expect(page.locator(".bitpay-toast")).to_contain_text("A stream for you")
        await live(page, "NotificationCentre").get_by_role("button", name="Notifications, 1 unread").click()
        await expect(page.locator(".bitpay-panel li")).to_have_attribute("data-status", "unread")
        assert [] == await violations(page)
        await page.locator("#NotificationCentre").scroll_into_view_if_needed()
        await photographed(page, "examples-signed-in")


async def test_the_examples_are_sound_in_both_lights_and_on_a_phone(processes: Processes) -> None:
    ingest, node = processes.start("ingest"), processes.start("fanout")
    await applied(ingest, block(7, stream_created()), OFFERED)
    async with chromium() as browser:
        for name, width, light in (("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")):
            context = await browser.new_context(
                bypass_csp=True, color_scheme=light, viewport={"width": width, "height": 900}, reduced_motion="reduce"
            )
            page = await opened(context, f"{node.url}/examples")
            await expect(live(page, "useMarketplace")).to_contain_text("1 for sale")
            await expect(live(page, "useTreasury")).to_contain_text("0.00000700 sBTC")
            await applied(ingest, block(200 + width + len(name), stream_withdrawal(amount=1)))
            await expect(live(page, "LiveStreamUpdates")).to_contain_text("0.00000001 sBTC was withdrawn")
            assert [] == await violations(page), name
            assert width == await page.evaluate("document.documentElement.scrollWidth")
            await photographed(page, f"examples-{name}")
            await context.close()
