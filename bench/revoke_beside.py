"""
Takes people off access lists from a process of its own, as ``helix access revoke`` does.

It reads lines of JSON, each a flow and the id of a principal, and answers each with a line: when
that was kept, in the time of ``time.monotonic``, which all processes share.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from helix.records import AuditEntry
from helix.sharing.changing import change_list
from helix.store.opening import open_store


async def revoke_all(reactor: Any, url: str) -> None:
    store = open_store(url, reactor, beside=True)
    await store.start()
    try:
        print("ready", flush=True)
        for line in sys.stdin:
            flow_id, principal_id = json.loads(line)
            patch = {"members": {principal_id: None}}
            audited = AuditEntry(0, time.time(), "access.change", flow_id)
            await store.access.change(
                flow_id, lambda access, patch=patch: change_list(access, patch, True), audited
            )
            print(time.monotonic(), flush=True)
    finally:
        await store.stop()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(revoke_all(reactor, sys.argv[1])))
