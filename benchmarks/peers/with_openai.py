"""The OpenAI SDK: a client and no loop."""

import driver
from openai import AsyncOpenAI


def stream(url: str) -> driver.Stream:
    client = AsyncOpenAI(base_url=url, api_key="none")

    async def read(_: str, tokens: int) -> int:
        count = 0
        answer = await client.chat.completions.create(
            model="demo", stream=True, messages=[{"role": "user", "content": f"!long {tokens}"}]
        )
        async for chunk in answer:
            count += bool(chunk.choices and chunk.choices[0].delta.content)
        return count

    return read


driver.main(stream)
