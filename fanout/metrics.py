"""Every metric of a fanout node: units in the names, bounded labels."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

NODE_SEQ: Final = Gauge("bitpay_node_seq", "Last entry that this node has spoken", multiprocess_mode="livemin")
NODE_LAG: Final = Gauge(
    "bitpay_node_lag_entries", "Outbox entries that this node has not spoken yet", multiprocess_mode="livemax"
)
HOLES: Final = Counter("bitpay_node_holes_total", "Times this node read from Postgres what the feed did not have")
TAIL_ERRORS: Final = Counter("bitpay_node_tail_errors_total", "Reads of the feed that failed and were tried again")
CONNECTIONS: Final = Gauge("bitpay_connections", "Sockets of this node", multiprocess_mode="livesum")
ROOM_JOINS: Final = Counter("bitpay_room_joins_total", "Joins by what was answered", ["result"])
SENT: Final = Counter("bitpay_emissions_sent_total", "Emissions handed to sockets")
DELIVER_SECONDS: Final = Histogram(
    "bitpay_webhook_to_socket_seconds",
    "From a delivery's arrival at ingest to its emission being handed to this node's sockets",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
BEHIND: Final = Gauge(
    "bitpay_connections_catching_up", "Sockets of this node that are told the past", multiprocess_mode="livesum"
)
CATCH_UPS: Final = Counter("bitpay_catch_ups_total", "Times a socket began to catch up, by why", ["cause"])
SESSIONS: Final = Counter("bitpay_sessions_total", "CONNECTs by what became of them", ["result"])
DROPPED: Final = Counter("bitpay_ephemeral_dropped_total", "Ephemeral events not sent to sockets that are too slow")
KEY_FETCHES: Final = Counter("bitpay_key_set_fetches_total", "Fetches of JWKS_URL by what became of them", ["result"])
