"""
Drives ``phoenix-channels-python-client`` for the tests.

    python python_client.py <URL of the WebSocket> <"1.0" or "2.0"> <topic>

It subscribes, pushes what each line of stdin says, ``["<event>", <payload>]``, and reports each
message of the topic as a line of the same form; ``["subscribed", {}]`` comes first. At the end of
stdin it leaves.
"""

from __future__ import annotations

import asyncio
import json
import sys

from phoenix_channels_python_client import PHXChannelsClient
from phoenix_channels_python_client.phx_messages import ChannelMessage
from phoenix_channels_python_client.utils import make_message


def report(event: str, payload: object) -> None:
    print(json.dumps([event, payload]), flush=True)


async def report_message(message: ChannelMessage) -> None:
    report(str(message.event), message.payload)


async def main(url: str, version: str, topic: str) -> None:
    async with PHXChannelsClient(url, "some key", protocol_version=version) as client:
        await client.subscribe_to_topic(topic, report_message)
        report("subscribed", {})
        join_ref = client.get_current_subscriptions()[topic].join_ref
        ref = 1000
        while line := await asyncio.to_thread(sys.stdin.readline):
            event, payload = json.loads(line)
            ref += 1
            assert client.connection is not None
            await client.get_protocol_handler().send_message(
                client.connection, make_message(event, topic, str(ref), payload, join_ref)
            )
        await client.unsubscribe_from_topic(topic)


asyncio.run(main(*sys.argv[1:]))
