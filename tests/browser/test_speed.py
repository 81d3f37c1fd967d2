"""What a token costs the browser, counted in changed nodes: the same in a long chat as in a short one."""

from statistics import median
from typing import Any

from tests.browser.conftest import House, Person, Visit

WATCH = """log => {
  window.batches = [];
  new MutationObserver((records) => {
    let changed = 0, outside = 0;
    for (const { target, type, addedNodes, removedNodes } of records) {
      const element = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
      const nodes = type === "childList" ? addedNodes.length + removedNodes.length : 1;
      changed += nodes;
      if (element && !element.closest("[data-state=streaming]")) outside += nodes;
    }
    window.batches.push([changed, outside]);
  }).observe(log, { childList: true, characterData: true, attributes: true, subtree: true });
}"""


async def cost_of_a_token(person: Person) -> tuple[float, int]:
    """Nodes that a change in the middle of an answer touches, and how many of them were not the answer's."""
    await person.say("!slow 20 !long 400")
    await person.watch_growth()
    await person.see("log").evaluate(WATCH)
    await person.watch_growth()
    await person.watch_growth()
    batches: list[Any] = await person.page.evaluate("window.batches")
    assert len(batches) >= 2
    return median(changed for changed, _ in batches), sum(outside for _, outside in batches)


async def test_a_token_touches_the_answer_and_nothing_else_however_long_the_chat(house: House, visit: Visit) -> None:
    short = await visit(house)
    await short.open(f"/c/{await house.talk('!echo only one')}")
    long = await visit(house)
    await long.open(f"/c/{await house.talk(*(f'!echo **{n}** `x` [y](https://example.org)' for n in range(120)))}")
    while await long.see("load-older").count():
        count = await long.see("message-user").count()
        await long.see("log").evaluate("element => { element.scrollTop = 0; }")
        await long.page.wait_for_selector(f"[data-testid=message-user] >> nth={count}")
    few, elsewhere = await cost_of_a_token(short)
    many, elsewhere_in_long = await cost_of_a_token(long)
    assert elsewhere == elsewhere_in_long == 0
    assert many <= few <= 12
