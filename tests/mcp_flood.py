"""A program that speaks MCP and says, again and again, that its tools have changed: as often as its list is read."""

import json
import sys
from typing import Any

read = 0


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def tool(name: str, padding: int = 0) -> dict[str, Any]:
    return {"name": name, "description": "x", "inputSchema": {"type": "object", "$comment": "x" * padding}}


for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("method") == "initialize":
        version = asked["params"]["protocolVersion"]
        about = {"capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "flood", "version": "1"}}
        say(id=asked["id"], result={"protocolVersion": version, **about})
    elif asked.get("method") == "tools/list":
        read += 1
        say(id=asked["id"], result={"tools": [tool(f"read_{read}"), tool("huge", 1 << 20)]})
        say(method="notifications/tools/list_changed")
