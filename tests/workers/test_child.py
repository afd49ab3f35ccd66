"""What a worker makes of what it is told. (docs/spec.md, NOD89)"""

from __future__ import annotations

import attrs

from helix.config import read_config
from helix.workers.child import share


def test_nod89_what_bounds_the_machine_is_shared_out() -> None:
    given = {"max-connections": ["10"], "max-sessions": ["9"], "max-queued-bytes": ["300000"]}
    config = read_config(given, {})
    shared = share(config, 3)
    assert (shared.max_connections, shared.max_sessions) == (4, 3)
    assert shared.max_queued_bytes == 100_000
    parts = ("max_connections", "max_sessions", "max_queued_bytes")
    assert attrs.evolve(shared, **{name: getattr(config, name) for name in parts}) == config
    assert share(config, 1) == config
