"""Questions between the processes of a house: whose turn, what has it said so far, and stop it."""

from collections.abc import Mapping

import msgspec

from antiphon.conversation.router import MessageRouter
from antiphon.conversation.stream import UnderWay
from antiphon.conversation.watch import TurnWatch
from antiphon.domain import Turn
from antiphon.errors import ServiceError
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.runtime.tasks import Tasks
from antiphon.storage.base import NodeStore
from antiphon.telemetry.logs import get_logger

ANSWER_SECONDS = 1.0
"""How long a client that joins waits for the process that answers."""

WORK, TURNS, CANCEL, STOP = "conversation.work", "conversation.turns", "conversation.cancel", "conversation.stop"

log = get_logger(__name__)


class _Wish(msgspec.Struct, frozen=True):
    conversation_id: str
    since: dict[str, int] = {}
    turn_id: str = ""


class Neighbours:
    """`Others` on a cluster; none where it is alone. Who sees a turn through is asked of the store, so nothing here has
    to arrive: what does not is made up for by `TurnWatch`, or by what the store holds of an answer."""

    def __init__(self, cluster: Cluster, nodes: NodeStore) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._tasks = Tasks()

    def serve(self, router: MessageRouter, watch: TurnWatch) -> None:
        """Answers what the others ask of this process."""

        async def work(body: bytes) -> bytes:
            await watch.take_up([body.decode()])
            return b""

        async def turns(body: bytes) -> bytes:
            wish = msgspec.json.decode(body, type=_Wish)
            return msgspec.json.encode(router.turns_since(wish.conversation_id, wish.since))

        async def cancel(body: bytes) -> bytes:
            wish = msgspec.json.decode(body, type=_Wish)
            return msgspec.json.encode(await router.cancel_here(wish.conversation_id, wish.turn_id))

        async def stop(body: bytes) -> bytes:
            router.cancel_all_here(body.decode())
            return b""

        for kind, answerer in ((WORK, work), (TURNS, turns), (CANCEL, cancel), (STOP, stop)):
            self._cluster.on_request(kind, answerer)

    async def stop(self) -> None:
        """Forgets what has not been said yet."""
        await self._tasks.stop()

    def tell(self, node: str, turn: Turn) -> None:
        if node:
            self._tasks.start("tell of a turn", self._say, node, WORK, turn.id)

    async def turns(self, conversation_id: str, since: Mapping[str, int]) -> tuple[list[UnderWay], bool]:
        if self._cluster.status == "alone":
            return [], True
        node, left = await self._nodes.open(conversation_id)
        if not left:
            return [], True
        stored = [UnderWay.stored(one) for one in left]
        try:
            answer = await self._ask(node, TURNS, _Wish(conversation_id, dict(since)))
            told = msgspec.json.decode(answer, type=list[UnderWay])
        except (ServiceError, msgspec.DecodeError) as error:  # one of another version may answer in other words
            log.warning("neighbour.silent", node=node, conversation_id=conversation_id, error=str(error))
            return stored, False
        # What it has not begun, or has ended by now, is as the store had it; its end comes behind.
        return told or stored, all(turn.exact for turn in told)

    async def cancel(self, conversation_id: str, turn_id: str) -> bool:
        node, left = ("", []) if self._cluster.status == "alone" else await self._nodes.open(conversation_id)
        if all(one.turn.id != turn_id for one in left):
            return False
        try:
            return bool(msgspec.json.decode(await self._ask(node, CANCEL, _Wish(conversation_id, turn_id=turn_id))))
        except ServiceError as error:
            raise ServiceError(
                f"The node {node} cannot be told to stop a turn: {error}",
                public="The process that answers this cannot be reached now. Try again in a moment.",
            ) from error

    def stop_all(self, conversation_id: str) -> None:
        for peer in self._cluster.peers():
            self._tasks.start("stop a conversation", self._say, peer.node, STOP, conversation_id)

    async def _ask(self, node: str, kind: str, wish: _Wish) -> bytes:
        if node in {"", self._cluster.node}:
            raise ServiceError("The turn is on its way from one process to another.")
        return await self._cluster.request(node, kind, msgspec.json.encode(wish), ANSWER_SECONDS)

    async def _say(self, node: str, kind: str, what: str) -> None:
        try:
            await self._cluster.request(node, kind, what.encode())
        except ServiceError as error:
            log.info("neighbour.not_told", node=node, kind=kind, error=str(error))
