"""Measures the space that the tables of a PostgreSQL database use."""

from __future__ import annotations

from helix.records import StoreUsage
from helix.store.postgresql.wire import Connection

LOOK_SECONDS = 10.0
"""From one look to the next: so long more may be kept than may be."""

# With indexes, and with what is stored out of line.
_SIZE = """
SELECT sum(pg_total_relation_size(name::regclass))::bigint
FROM unnest(ARRAY['helix_flows', 'helix_entries', 'helix_snapshots', 'helix_version_names',
    'helix_access', 'helix_audit', 'helix_api_keys', 'helix_sign_ins']) AS name
"""


async def look(connection: Connection, usage: StoreUsage) -> None:
    """
    See how much the tables take.

    :param usage: is told.
    """
    usage.used_bytes = (await connection.ask(_SIZE))[0][0]
