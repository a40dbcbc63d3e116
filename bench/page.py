"""``python -m bench.page``: what the page does to a browser while events pour in.

Deliveries of one event each, on a fixed schedule, to a real ingest; the page in a real Chromium, which shares this
machine with everything else. Printed: when the first event stood on the page after it was opened, frames that took
longer than 50 ms, the memory of its JavaScript before and after, both behind a garbage collection, and how busy the
page's thread was. The last is what to compare by: frames tell of the whole machine, busy time of the page alone.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final

from playwright.async_api import CDPSession, Page

from bench.deliveries import block, body, created, withdrawn
from bench.latency import post_on_schedule
from bench.posting import Poster, request
from bench.rig import percentile, rig, table
from tests.end_to_end.browser import chromium, opened

STREAMS: Final = 12
LONG_MS: Final = 50
BUSY: Final = {"Task": "at all", "Script": "scripts", "RecalcStyle": "style", "Layout": "layout"}
WATCH: Final = """
window.__frames = [];
let before = performance.now();
const frame = (now) => { window.__frames.push(now - before); before = now; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
new MutationObserver(() => {
  if (!window.__first && document.querySelector("#events > li")) {
    requestAnimationFrame(() => (window.__first ??= performance.now()));
  }
}).observe(document, { childList: true, subtree: true });
"""


async def main(rate: float, seconds: float) -> None:
    """Measure and print."""
    with rig() as found:
        ingest, node = found.processes.start("ingest"), found.processes.start("fanout")
        async with Poster(ingest.port) as first:
            await first.post(request(body(block(999, [created(i) for i in range(1, STREAMS + 1)]))))
        blocks = [block(1000 + i, [withdrawn(i % STREAMS + 1)]) for i in range(int(rate * (seconds + 10)))]
        posting = asyncio.create_task(post_on_schedule(ingest, [request(body(it)) for it in blocks], rate))
        async with chromium() as browser:
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            await context.add_init_script(WATCH)
            page = await opened(context, node.url)
            await page.wait_for_function("window.__first")
            shown = await page.evaluate("window.__first")
            session = await context.new_cdp_session(page)
            await asyncio.sleep(5)
            before = await _heap(session)
            await page.evaluate("window.__frames.length = 0")
            begun = await _busy(session)
            await asyncio.sleep(seconds)
            ended = await _busy(session)
            frames = await page.evaluate("window.__frames")
            after = await _heap(session)
            counts = await _counts(page)
        await posting
        print(await found.describe())
        print(f"{rate:g} deliveries a second for {seconds:g} s, one event each\n")
        busy = {it: (ended[it] - begun[it]) / seconds for it in ended}
        print(table(["", ""], _rows(shown, frames, before, after, busy, counts)))


def _rows(
    shown: float, frames: list[float], before: float, after: float, busy: dict[str, float], counts: dict[str, Any]
) -> list[list[str]]:
    slow = [it for it in frames if it > LONG_MS]
    return [
        ["first event painted after", f"{shown:.0f} ms"],
        ["frames", f"{len(frames)}"],
        ["frame p50, p99, longest", " ".join(f"{percentile(frames, it):.0f}" for it in (0.5, 0.99, 1.0)) + " ms"],
        [f"frames above {LONG_MS} ms", f"{len(slow)}"],
        ["JavaScript memory before, after", f"{before:.1f}, {after:.1f} MiB"],
        *([f"busy, {name}", f"{took:.0f} ms a second"] for name, took in busy.items()),
        *([name, str(count)] for name, count in counts.items()),
    ]


async def _heap(session: CDPSession) -> float:
    await session.send("HeapProfiler.collectGarbage")
    return float((await session.send("Runtime.getHeapUsage"))["usedSize"]) / 2**20


async def _busy(session: CDPSession) -> dict[str, float]:
    """Milliseconds of the page's thread so far, by what it did."""
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    told = {it["name"]: it["value"] for it in (await session.send("Performance.getMetrics"))["metrics"]}
    return {name: 1000 * told[f"{it}Duration"] for it, name in BUSY.items()}


async def _counts(page: Page) -> dict[str, str]:
    return {it: await page.inner_text(f"#{it}") for it in ("heard", "lost", "duplicated")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="deliveries a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    asyncio.run(main(options.rate, options.seconds))
