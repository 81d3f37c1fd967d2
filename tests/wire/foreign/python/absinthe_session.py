"""gql: GraphQL over channels as Absinthe speaks it, without a version, whole numbers as refs."""

import asyncio
import json
import sys
from typing import Any

from gql import Client, gql  # type: ignore[import-not-found]
from gql.transport.phoenix_channel_websockets import PhoenixChannelWebsocketsTransport  # type: ignore[import-not-found]


def say(*values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def main(url: str) -> None:
    transport = PhoenixChannelWebsocketsTransport(f"ws://{url}/websocket", heartbeat_interval=0.02)
    async with Client(transport=transport, fetch_schema_from_transport=False) as session:
        say("query", await session.execute(gql("query { hello }")))
        count = 0
        async for result in session.subscribe(gql("subscription { counted }")):
            say(f"subscription {count}", result)
            count += 1
            if count == 3:
                break
        say("query again", await session.execute(gql("query { hello }")))


asyncio.run(main(*sys.argv[1:]))
