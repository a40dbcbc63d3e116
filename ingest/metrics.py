"""Every metric of ingest: units in the names, bounded labels."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES: Final = Counter("bitpay_deliveries_total", "Chainhook deliveries by HTTP status", ["status"])
BROADCASTS: Final = Counter("bitpay_broadcasts_total", "Broadcasts by HTTP status", ["status"])
EVENTS: Final = Counter("bitpay_events_total", "Chain events by name and what became of them", ["name", "result"])
RECORD_SECONDS: Final = Histogram(
    "bitpay_record_seconds",
    "From a delivery's arrival to its commit",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
OUTBOX_HEAD: Final = Gauge("bitpay_outbox_head_seq", "Last entry of the outbox")
FEED_LAST: Final = Gauge("bitpay_feed_last_seq", "Last entry of the feed, as this relay knows it")
FEED_LAG: Final = Gauge("bitpay_feed_lag_entries", "Outbox entries that the feed does not have yet")
RELAY_ERRORS: Final = Counter("bitpay_relay_errors_total", "Rounds of the relay that failed and were tried again")
