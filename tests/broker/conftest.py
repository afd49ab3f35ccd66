"""PostgreSQL for the broker that needs it."""

from __future__ import annotations

from tests.support.postgres import postgres_server, url  # noqa: F401  # fixtures
