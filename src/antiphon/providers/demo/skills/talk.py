"""Small talk, what the demo model is, and what it can be shown doing."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, answer
from antiphon.search.lexical import fold


class Courtesy(NamedTuple):
    """What people say that is no question. An `aside` is answered only when nothing else was said."""

    pattern: re.Pattern[str]
    thought: str
    reply: str
    aside: bool = True


_GREETING = re.compile(
    r"(?:hi+|hello+|hey+|yo|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|hola|hallo|bonjour|ciao|ola|"
    r"servus|moin|namaste|salut|salam|привет|你好|こんにちは|안녕하세요)"
    r"(?: (?:there|all|bot|assistant|antiphon|everyone|again|world))?"
)
_COURTESIES = (
    Courtesy(
        re.compile(
            r"(?:thanks?|thank you|thx|ty|cheers|merci|danke|gracias)"
            r"(?: (?:you|a lot|so much|very much|again|man|bot))*"
        ),
        "Thanks.",
        "You are welcome. What is next?",
    ),
    Courtesy(
        re.compile(r"(?:bye|goodbye|good night|see you(?: later)?|cya|that'?s all|tschuss)(?: (?:bye|bot|for now))?"),
        "A farewell.",
        "Goodbye. This conversation stays here: come back at any time, also after a restart.",
    ),
    Courtesy(
        re.compile(
            r"ok(?:ay)?|k|cool|nice|great|good|wow|awesome|perfect|fine|lol|haha+|yes|yeah|yep|no|nope|sure|alright|"
            r"amazing|interesting|got it|i see|well done|good (?:job|bot)"
        ),
        "Nothing is asked.",
        "Good. Ask me something, or say `help` to see what I can do.",
    ),
    Courtesy(
        re.compile(r"(?:stop|cancel|quit|exit|pause)(?: (?:it|that|please|now))*"),
        "A wish to stop.",
        "Nothing is running. While an answer streams, the stop button ends it, in the terminal Ctrl-C.",
    ),
    Courtesy(
        re.compile(r"(?:clear|reset|restart|start over|start again|new (?:chat|conversation))(?: please)?"),
        "A wish to begin again.",
        "Type `/reset`: from there on the assistant no longer reads what is above.",
    ),
    Courtesy(
        re.compile(r"(?:continue|go on|more|tell me more|again|repeat|why|how|what|huh|really|are you sure)"),
        "A question about my last answer.",
        "My answers are whole: I quote all that fits and have no more to say. Ask with other words, and I look again.",
    ),
    Courtesy(
        re.compile(r"how are you(?: (?:doing|today|feeling))*|how(?: is|'s) it going|what'?s up|sup|wassup"),
        "A friendly question.",
        "Running, thank you: all rules in place, nothing to feel with. What can I look up or work out for you?",
    ),
    Courtesy(
        re.compile(
            r"(?:just )?(?:a )?(?:test(?:ing)?(?: (?:test(?:ing)?|message|\d[\d ]*))*|ping|check(?:ing)?|"
            r"is (?:this|it) (?:on|working)|are you there|anybody (?:there|home)|does (?:this|it) work)"
        ),
        "A test.",
        "It works: your message went to the server, was stored, and this answer is streaming back word by word. "
        "Try `!long 500` for a long stream to stop or to reload in the middle of.",
        aside=False,
    ),
)

_WHO = re.compile(
    r"\b(?:who|what) (?:are|r) (?:you|u)\b|\byour name\b|\bintroduce yourself|\babout yourself|"
    r"\bare you (?:an? )?(?:ai|a\.i\.|robot|bot|human|real|llm|gpt|chatgpt|claude|gemini|model|language model|person|"
    r"alive|smart|intelligent|conscious)\b|"
    r"\b(?:what|which) (?:ai |language |llm )?model (?:are you|is this|do you use|am i)|"
    r"\bwho (?:made|built|created) you\b|\bhow old are you|\bwhere are you from|"
    r"\bdo you (?:speak|dream|sleep|have a name)|\bwhat languages? do you"
)
_ABLE = re.compile(
    r"^(?:help(?: me)?|menu|commands?|options|examples?|start|get started|begin|what now|where do i start|"
    r"how do i start)[\s?!.]*$|"
    r"\bwhat (?:all )?(?:can|could|do) (?:you|i|we) (?:do|ask|say|try|help|know)\b(?! (?:about|when|if|with|to|for))|"
    r"\bwhat are you (?:able|capable|good)|\bhow can you help\b|\bwhat should i (?:ask|try|say|do)\b|"
    r"\bshow me what you can\b|\byour (?:features|capabilities|skills)\b|\bsurprise me\b|\bimpress me\b"
)
_TOOLS = re.compile(
    r"\b(?:what|which|list|show)\b.*\b(?:your|the|have|got|available)\b.*\btools?\b|\btools? (?:do|can) you\b|"
    r"^(?:your )?tools[?!. ]*$"
)
_MARKDOWN = re.compile(
    r"(?:(?:can you |please )*(?:show|give|print|render|make|write|draw|test)(?: me)?(?: (?:a|an|some|the|your|all))* "
    r")?(?:markdown|formatting|table|code block|highlighting)(?: (?:sample|example|demo|test|please))*"
)
_COUNT = re.compile(r"(?:please |can you )?count (?:from (?:1|one) )?(?:up )?to (?P<n>\d{1,4})")

_EXAMPLES: Mapping[str, str] = {
    "search_manual": "**Answer from the manual**: *How do I connect Ollama?*",
    "calculator": "**Work things out**: *What is 17% of 2340?* or *15 km in miles*",
    "clock": "**Tell the time**: *What time is it in Tokyo and New York?*",
    "remember": "**Keep notes for you**: *Remember that my favourite colour is green*",
    "recall": "**Find them again**: *What do you know about me?*",
    "forget": "**Forget one, when you allow it**: *Forget that my favourite colour is green*",
    "people_present": "**Tell who is here**: *Who is here?*",
    "search_conversations": "**Search what was said**: *What did I say about lunch?*",
}
_SAMPLE = """Headings, lists, tables and code, as the page shows them:

### A list

1. **bold**, *italic*, `code`
2. a [link](https://www.rfc-editor.org/rfc/rfc6455)

### A table

| Place | Sends | Hears |
| --- | --- | --- |
| page | yes | yes |
| terminal | yes | yes |

### Code

```python
from antiphon import tool

@tool
async def greet(name: str) -> str:
    \"\"\"Greets somebody by name.\"\"\"
    return f"Hello, {name}!"
```

> A quotation closes it."""


def plan(sentence: str, reading: Reading) -> Plan | None:
    """Greetings, thanks, "who are you?", "what can you do?", "which tools do you have?", "count to 20"."""
    text = fold(sentence[:300]).strip()
    bare = " ".join(text.strip("!?¡¿.,;:…() ").split())
    if not re.search(r"\w", text):
        return answer("Nothing to go by.", _able(reading) if text.isascii() else _shrug(sentence))
    if _GREETING.fullmatch(bare):
        return answer("A greeting.", _hello(reading), aside=True)
    for courtesy in _COURTESIES:
        if courtesy.pattern.fullmatch(bare):
            return answer(courtesy.thought, courtesy.reply, aside=courtesy.aside)
    if _TOOLS.search(text):
        return answer("A question about my tools: they are listed in the request.", _tools(reading))
    if _ABLE.search(text):
        return answer("A question about what I can do.", _able(reading))
    if _WHO.search(text):
        return answer("A question about me.", _who(reading))
    if counting := _COUNT.fullmatch(bare):
        return answer("I count.", ", ".join(str(number) for number in range(1, int(counting["n"]) + 1)) + ".")
    if _MARKDOWN.fullmatch(bare):
        return answer("A sample of Markdown.", _SAMPLE)
    return None


def _shrug(sentence: str) -> str:
    return f"{sentence.strip()[:20]} to you too. Say `help` to see what I can do."


def _hello(reading: Reading) -> str:
    return f"Hello! {_able(reading)}" if reading.first else "Hello again! What can I do for you?"


def _able(reading: Reading) -> str:
    lines = [f"- {line}" for name, line in _EXAMPLES.items() if name in reading.tools]
    others = [f"`{name}`" for name in reading.tools if name not in _EXAMPLES]
    if others:
        lines.append(f"- **Use other tools** when you name them: {', '.join(others[:10])}")
    if not lines:
        return (
            "No tools are offered to me here, so I can only chat a little: try *show me some Markdown* or `!long 200`."
        )
    return "This is what I can do here:\n\n" + "\n".join(lines) + "\n\n`/help` lists the commands of the house."


def _tools(reading: Reading) -> str:
    if not reading.tools:
        return "None: no tools are offered to me here."
    lines = [f"- `{tool.name}`: {tool.description.split(chr(10))[0][:200]}" for tool in reading.tools.values()]
    return f"I am offered {len(lines)} tool{'s' if len(lines) != 1 else ''}:\n\n" + "\n".join(lines[:40])


def _who(reading: Reading) -> str:
    more = (
        ""
        if reading.first
        else (
            "I am the built-in **demo model**: rules and search, no AI. I am here so that everything around a model "
            "can be tried without one.\n\n"
        )
    )
    return more + (
        "I have no name and no opinions. I read English sentences by fixed rules, call real tools, and quote what they "
        "find; I make nothing up. `/why` tells why I am the one who answers, and `help` shows what I can do."
    )
