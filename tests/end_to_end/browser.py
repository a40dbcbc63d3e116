"""A real Chromium before the real page, with a wallet in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from fanout.wallet import hash160, message_hash
from shared.domain.clarity import address

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / ".screenshots"
KEY = PrivateKey(b"\x22" * 32)
OWNER = address(26, hash160(KEY.public_key.format()))
WALLET = """
window.StacksProvider = {
  request: async (method, params) => ({ result: JSON.parse(await window.__wallet(method, params?.message ?? "")) }),
};
"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser of this machine."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "no Chromium: `apt-get install chromium`, or name it in CHROMIUM"
    options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=path, args=options)
        try:
            yield browser
        finally:
            await browser.close()


async def opened(context: BrowserContext, url: str, faults: list[str] | None = None) -> Page:
    """A page, once it is live; what goes wrong in it is noted in ``faults``."""
    page = await context.new_page()
    if faults is not None:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda it: faults.append(it.text) if it.type == "error" else None)
    await page.goto(url)
    await page.locator('.status[data-status="live"]').wait_for()
    await page.locator("#root[data-ready]").wait_for()
    return page


async def give_wallet(context: BrowserContext) -> None:
    """A wallet as the extensions of Stacks are one, with one key."""

    def answer(method: str, message: str) -> str:
        if method == "stx_getAddresses":
            return f'{{"addresses": [{{"symbol": "STX", "address": "{OWNER}"}}]}}'
        assert method == "stx_signMessage"
        signature = KEY.sign_recoverable(message_hash(message), hasher=None).hex()
        return f'{{"signature": "{signature}", "publicKey": "{KEY.public_key.format().hex()}"}}'

    await context.expose_function("__wallet", answer)
    await context.add_init_script(WALLET)


async def photographed(page: Page, name: str) -> None:
    """A screenshot for whoever looks at what was tested."""
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True, animations="disabled")


async def violations(page: Page) -> list[Any]:
    """What axe finds wrong with the page for those who cannot see, point or hear."""
    await page.add_script_tag(path=ROOT / "client/node_modules/axe-core/axe.min.js")
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [(it["id"], [node["html"] for node in it["nodes"]]) for it in found["violations"]]
