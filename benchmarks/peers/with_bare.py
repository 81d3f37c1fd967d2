"""aiohttp and msgspec with nothing around them: no events, no loop, nothing that a real stream does wrong."""

import aiohttp
import driver
import msgspec


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Delta


class Chunk(msgspec.Struct):
    choices: list[Choice] = []


def stream(url: str) -> driver.Stream:
    decode = msgspec.json.Decoder(Chunk).decode
    clients: list[aiohttp.ClientSession] = []

    async def read(_: str, tokens: int) -> int:
        if not clients:  # a session wants a running loop
            clients.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        asked = {"model": "demo", "stream": True, "messages": [{"role": "user", "content": f"!long {tokens}"}]}
        count, rest = 0, b""
        async with clients[0].post(f"{url}/chat/completions", json=asked) as answer:
            async for data in answer.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        choices = decode(line[6:]).choices
                        count += bool(choices and choices[0].delta.content)
        return count

    return read


driver.main(stream)
