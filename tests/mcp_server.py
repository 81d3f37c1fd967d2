"""A program that serves tools over MCP, on its standard input or by HTTP, with the official library."""

import asyncio
import os
import sys
import time

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("things")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool(name="who.are/you")
def who() -> str:
    """Its process and its variables."""
    return f"{os.getpid()} {' '.join(sorted(os.environ))}"


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("no such thing")


@server.tool()
def die() -> str:
    """Ends the server."""
    os._exit(1)


@server.tool()
async def sleep() -> str:
    """Takes long."""
    await asyncio.sleep(60)
    return "slept"


@server.tool()
async def grow(context: Context) -> str:
    """Gets another tool."""
    server.add_tool(lambda: "new", name="newcomer", description="Is new.")
    await context.session.send_tool_list_changed()
    return "grown"


if __name__ == "__main__":
    if "hang" in sys.argv:
        time.sleep(600)
    elif "http" in sys.argv:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[-1]))
    else:
        server.run("stdio")
