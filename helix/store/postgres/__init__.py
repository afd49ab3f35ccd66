"""``postgresql://``: flows in a PostgreSQL database, which several nodes may share."""

from helix.store.postgres.store import PostgresStore
from helix.store.postgres.wire import Bounds

__all__ = ["Bounds", "PostgresStore"]
