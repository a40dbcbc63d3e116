"""Chainhook deliveries in; events, state and outbox written in one transaction; the outbox relayed to Redis."""
