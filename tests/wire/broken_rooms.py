"""Rooms with one flaw each: what the runner must find, and nothing else."""

import json
from typing import Any

from antiphon.testing.conformance.raw import BINARY, CLOSE, PONG, TEXT, HttpAnswer
from tests.wire.go_between import Asked, Flaw, Seen, Way

Frame = list[Any]


def is_reply(told: Frame, **response: Any) -> bool:
    """Whether a frame is a reply, with this in its response."""
    if told[3] != "phx_reply":
        return False
    had = told[4]["response"]
    return not response or (isinstance(had, dict) and had.items() >= response.items())


class Remembering(Flaw):
    """Knows the joins, the leaves and the answers of its connection."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.joins: dict[str, list[Any]] = {}
        """By topic, the join_refs of all joins."""
        self.refs: dict[Any, Frame] = {}
        """By ref, what was said."""
        self.joined: set[str] = set()

    def said_list(self, said: Frame) -> list[Frame]:
        if isinstance(said[1], str):
            self.refs[said[1]] = said
        if said[3] == "phx_join" and isinstance(said[2], str):
            self.joins.setdefault(said[2], []).append(said[0])
        return self.say_on(said)

    def told_list(self, told: Frame) -> list[Frame]:
        asked = self.refs.get(told[1]) if isinstance(told[1], str) else None
        if asked and asked[3] == "phx_join" and is_reply(told):
            (self.joined.add if told[4]["status"] == "ok" else self.joined.discard)(told[2])
        return self.tell_on(told, asked)

    def say_on(self, said: Frame) -> list[Frame]:
        return [said]

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        return [told]


# --- the model ----------------------------------------------------------------------------------------------------


class TwoChannelsForOneTopic(Remembering):
    rule = "MD-1"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        return [told] * len(self.joins.get(told[2], ".")) if told[3] == "message" else [told]


class MessagesBehindAJoinAreTurnedAround(Remembering):
    rule = "MD-3"

    def say_on(self, said: Frame) -> list[Frame]:
        if said[4] != {"n": self.shared[str(said[2])].get("next", 0)} or said[2] in self.joined:
            return [said]
        self.shared[said[2]]["next"] = said[4]["n"] + 1
        self.shared[said[2]].setdefault("held", []).append(said)
        return []

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        for held in reversed(self.shared[told[2]].pop("held", [])):
            self.say(held)
        return [told]


class ABroadcastBeforeTheJoinReply(Remembering):
    rule = "MD-4"

    def say_on(self, said: Frame) -> list[Frame]:
        if said[3] == "phx_join" and said[4].get("slow", 0) > 300:
            self.shared[said[2]]["joining"] = True
        return [said]

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        topic = self.shared[told[2]]
        if told[3] == "message" and topic.get("joining"):
            topic["early"] = told
        if asked and asked[3] == "phx_join" and topic.pop("joining", False):
            return [topic.get("early", told), told]
        return [told]


class PushesAreOvertaken(Remembering):
    rule = "MD-5"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if told[3] == "pushed" and told[4].get("n") == 3 and not self.shared[told[2]]:
            self.shared[told[2]]["held"] = told
            return []
        held = self.shared[told[2]].pop("held", None)
        return [told] if held is None else [told, held]


class BroadcastsAreKeptForLater(Remembering):
    rule = "MD-6"

    def say_on(self, said: Frame) -> list[Frame]:
        if said[3] == "phx_join":
            self.refs[said[1]] = [*said, self.shared[str(said[2])].get("last")]
        return [said]

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if told[3] == "message":
            self.shared[told[2]]["last"] = told
        late = asked[5] if asked and len(asked) > 5 else None
        return [told, late] if late else [told]


class RoutesWithoutTheColon(Flaw):
    rule = "MD-7"

    def told_list(self, told: Frame) -> list[Frame]:
        return [[*told[:4], {"status": "ok", "response": {}}]] if told[2] == "room" else [told]


# --- the upgrade --------------------------------------------------------------------------------------------------


def no(status: int, body: bytes = b"") -> HttpAnswer:
    return HttpAnswer(status, {}, body)


class NoVersionIsVersion2(Flaw):
    rule = "TR-2"

    def asked(self, asked: Asked) -> Asked:
        asked.query = asked.query or "vsn=2.0.0"
        return asked


class TakesAVersionThatIsNone(Flaw):
    rule = "TR-3"

    def asked(self, asked: Asked) -> Asked:
        asked.query = asked.query.replace("vsn=2.1.0", "vsn=2.0.0")
        return asked


class TheFirstOfEqualKeysWins(Flaw):
    rule = "TR-4"

    def asked(self, asked: Asked) -> Asked:
        if asked.upgrade:
            first = dict(reversed(asked.pairs))
            asked.query = "&".join(f"{name}={value}" for name, value in first.items())
        return asked


class EmptyPairsAreRefused(Flaw):
    rule = "TR-5"

    def asked(self, asked: Asked) -> Asked | HttpAnswer:
        return no(400) if asked.query.endswith("&") and len(asked.query) > 1 else asked


class ThePlusIsNoSpace(Flaw):
    rule = "TR-6"

    def asked(self, asked: Asked) -> Asked:
        asked.query = asked.query.replace("user-%C3%A9+", "user-%C3%A9%2B")
        return asked


class LooksAtTheUpgradeFirst(Flaw):
    rule = "TR-7"

    def asked(self, asked: Asked) -> Asked | HttpAnswer:
        plain = asked.method == "GET" and asked.path.endswith("/websocket") and not asked.upgrade
        return no(400, b"no upgrade") if plain else asked


class AnotherMethodIs405(Flaw):
    rule = "TR-8"

    def asked(self, asked: Asked) -> Asked | HttpAnswer:
        return no(405) if asked.method != "GET" and asked.path.endswith("/websocket") else asked


class ARefusalWithAPage(Flaw):
    rule = "TR-9"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        chosen = asked.upgrade and asked.query == "vsn=2.0.0&refuse=403"
        return no(403, b"<h1>Forbidden</h1>") if chosen else answer


class CompressionThatNobodyOffered(Flaw):
    rule = "TR-11"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        if answer.status == 101:
            answer.headers["sec-websocket-extensions"] = "permessage-deflate"
        return answer


class AnyEscapeIsFine(Flaw):
    rule = "TR-13"

    def asked(self, asked: Asked) -> Asked:
        asked.query = asked.query.replace("%zz", "zz")
        return asked


class AnUnknownPathIsRefused(Flaw):
    rule = "TR-14"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        return no(403) if asked.path.endswith("/nowhere") else answer


class AnyOriginThatEndsAlike(Flaw):
    rule = "OR-2"

    def asked(self, asked: Asked) -> Asked:
        if asked.headers.get("origin", "").startswith("http://127.0.0.1.elsewhere"):
            del asked.headers["origin"]
        return asked


class NullIsAnOrigin(Flaw):
    rule = "OR-7"

    def asked(self, asked: Asked) -> Asked:
        if asked.headers.get("origin") == "null":
            del asked.headers["origin"]
        return asked


class ARefusedOriginIsToldWhy(Flaw):
    rule = "OR-8"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        return no(403, b"origin") if answer.status == 403 and "origin" in asked.headers else answer


class PhoenixIsNotAnswered(Flaw):
    rule = "AU-3"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        answer.headers.pop("sec-websocket-protocol", None)
        return answer


class PhoenixIsAlwaysAnswered(Flaw):
    rule = "AU-5"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        if answer.status == 101:
            answer.headers["sec-websocket-protocol"] = "phoenix"
        return answer


# --- frames -------------------------------------------------------------------------------------------------------


class FourElementsWillDo(Flaw):
    rule = "V2-1"

    def said(self, seen: Seen) -> Way:
        value = seen.value
        short = isinstance(value, list) and len(value) == 4
        return [seen.with_value([*value, {}])] if short else super().said(seen)


class NumbersComeBackAsTexts(Flaw):
    rule = "V2-2"

    def told_list(self, told: Frame) -> list[Frame]:
        return [[told[0], str(told[1]) if type(told[1]) is int else told[1], *told[2:]]]


class ResponsesAreObjects(Flaw):
    rule = "V2-4"

    def told_list(self, told: Frame) -> list[Frame]:
        if is_reply(told) and not isinstance(told[4]["response"], dict):
            told[4]["response"] = {}
        return [told]


class ACloseWithoutARef(Flaw):
    rule = "V2-5"

    def told_list(self, told: Frame) -> list[Frame]:
        return [[told[0], None, *told[2:]]] if told[3] == "phx_close" else [told]


class AnyTextIsFine(Flaw):
    rule = "V2-6"

    def said(self, seen: Seen) -> Way:
        if seen.opcode == TEXT:
            seen.payload = seen.payload.decode(errors="replace").encode()
        return [seen]


class EverythingIsEscaped(Flaw):
    rule = "V2-7"

    def told(self, seen: Seen) -> Way:
        value = seen.value
        return [seen] if value is None else [Seen(seen.first, False, json.dumps(value).encode())]


class OldFrames(Flaw):
    """For flaws of version 1."""

    def told(self, seen: Seen) -> Way:
        value = seen.value
        return [seen.with_value(self.told_old(value))] if isinstance(value, dict) else [seen]

    def told_old(self, told: dict[str, Any]) -> Any:
        return told


class OneKeyMayBeMissing(Flaw):
    rule = "V1-1"

    def said(self, seen: Seen) -> Way:
        value = seen.value
        return [seen.with_value({"ref": None, **value})] if isinstance(value, dict) else [seen]


class OldFramesCarryAJoinRef(OldFrames):
    rule = "V1-3"

    def told_old(self, told: dict[str, Any]) -> Any:
        return {**told, "join_ref": None}


class OldClosesCarryARef(OldFrames):
    rule = "V1-5"

    def told_old(self, told: dict[str, Any]) -> Any:
        return {**told, "ref": told["ref"] or "x"} if told["event"] == "phx_close" else told


class ObjectsAreReadInVersion2(Flaw):
    rule = "V1-7"
    newer = False

    def asked(self, asked: Asked) -> Asked:
        self.newer = "vsn=2" in asked.query
        return asked

    def said(self, seen: Seen) -> Way:
        return [] if self.newer and isinstance(seen.value, dict) and "topic" in seen.value else [seen]


class BinaryPushesWithARef(Flaw):
    rule = "BN-2"

    def told_bytes(self, data: bytes) -> bytes | None:
        return data[:2] + b"\0" + data[2:] if data[0] == 0 and b"bytes" in data else data


class BinaryBroadcastsAsPushes(Flaw):
    rule = "BN-4"

    def told_bytes(self, data: bytes) -> bytes | None:
        return b"\0\0" + data[1:] if data[0] == 2 and data.endswith(b"\0\1\2") and b"bytes" in data else data


class ANullRefIsWritten(Flaw):
    rule = "BN-5"

    def told_bytes(self, data: bytes) -> bytes | None:
        if data[0] != 1 or data[2]:
            return data
        at = 5 + data[1]
        return bytes([1, data[1], 4, *data[3:5]]) + data[5:at] + b"null" + data[at:]


class AnEmptyJoinRefIsStale(Flaw):
    rule = "BN-6"

    def said_bytes(self, data: bytes) -> bytes | None:
        return None if len(data) > 5 and data[0] == 0 and data[1] == 0 and data[3] else data


class NothingIsAZero(Flaw):
    rule = "BN-8"

    def told_bytes(self, data: bytes) -> bytes | None:
        return data + b"\0" if data[0] == 1 and len(data) == 5 + sum(data[1:5]) else data


class BytesAreAnsweredWithBytes(Flaw):
    rule = "BN-9"
    asked_in_bytes = False

    def said_bytes(self, data: bytes) -> bytes | None:
        self.asked_in_bytes = b"no such event" in data
        return data

    def told(self, seen: Seen) -> Way:
        told = seen.value
        if isinstance(told, list) and is_reply(told) and self.asked_in_bytes:
            fields = [str(each).encode() for each in (*told[:3], told[4]["status"])]
            return [Seen(0x80 | BINARY, False, bytes([1, *map(len, fields)]) + b"".join(fields) + b"{}")]
        return [seen]


class ShortFramesAreSwallowed(Flaw):
    rule = "BN-10"

    def said_bytes(self, data: bytes) -> bytes | None:
        return data if len(data) > 3 else None


class BytesReachTheSenderToo(Flaw):
    rule = "BN-11"

    def said_bytes(self, data: bytes) -> bytes | None:
        if b"broadcast_from" not in data:
            return data
        return data[:4] + bytes([len("broadcast")]) + data[5:].replace(b"broadcast_from", b"broadcast")


# --- heartbeats and joins -----------------------------------------------------------------------------------------


class HeartbeatsEchoTheJoinRef(Remembering):
    rule = "HB-1"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        return [[asked[0], *told[1:]]] if asked and asked[3] == "heartbeat" else [told]


class HeartbeatsNeedARef(Flaw):
    rule = "HB-2"

    def said_list(self, said: Frame) -> list[Frame]:
        return [] if said[2] == "phoenix" and said[1] is None else [said]


class AnythingIsAHeartbeat(Flaw):
    rule = "HB-3"

    def told_list(self, told: Frame) -> list[Frame]:
        return [[*told[:4], {"status": "ok", "response": {}}]] if told[2] == "phoenix" else [told]


class NoPongs(Flaw):
    rule = "HB-5"

    def told(self, seen: Seen) -> Way:
        return [] if seen.opcode == PONG else [seen]


class AnEmptyResponseIsNull(Remembering):
    rule = "JN-1"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if asked and asked[3] == "phx_join" and asked[0] != asked[1] and told[4] == {"status": "ok", "response": {}}:
            told[4]["response"] = None
        return [told]


class ARefusalIsClosedToo(Remembering):
    rule = "JN-2"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if is_reply(told, reason="full") and len(self.joins[told[2]]) == 1:
            return [told, [told[0], told[0], told[2], "phx_close", {}]]
        return [told]


class ACrashTellsWhy(Flaw):
    rule = "JN-3"

    def told_list(self, told: Frame) -> list[Frame]:
        if is_reply(told, reason="join crashed"):
            told[4]["response"]["reason"] = "RuntimeError: line 30"
        return [told]


class AnUnmatchedJoinEchoesItsRef(Remembering):
    rule = "JN-4"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        unmatched = asked and asked[3] == "phx_join" and is_reply(told, reason="unmatched topic")
        return [[asked[0], *told[1:]]] if asked and unmatched else [told]


class NinetyNineChannels(Remembering):
    rule = "JN-5"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        crowded = is_reply(told, reason="too many channels joined")
        return [[None, *told[1:]]] if crowded else [told]


class AnOldCloseWithTheNewRef(Remembering):
    rule = "JN-6"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        left = any(said[3] == "phx_leave" for said in self.refs.values())
        if told[3] == "phx_close" and not left and len(self.joins.get(told[2], ())) > 1:
            told[0] = self.joins[told[2]][-1]
        return [told]


class AnOldCloseBehindTheReply(OldFrames):
    rule = "JN-7"

    def said(self, seen: Seen) -> Way:
        value = seen.value
        if isinstance(value, dict) and value.get("event") == "phx_join" and "join_ref" not in value:
            topic = self.shared[str(value["topic"])]
            topic["joins"] = topic.get("joins", 0) + 1
        return [seen]

    def told(self, seen: Seen) -> Way:
        value = seen.value
        if not isinstance(value, dict) or self.shared[str(value["topic"])].get("joins") != 2:
            return [seen]
        if value["event"] == "phx_close":
            return []
        if value["event"] == "phx_reply" and value["ref"] == "2":
            return [seen, seen.with_value({**value, "event": "phx_close", "ref": None, "payload": {}})]
        return [seen]


class ALeaveThatIsOvertakenHasNoClose(Remembering):
    rule = "JN-8"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        left = [said[0] for said in self.refs.values() if said[3] == "phx_leave"]
        overtaken = told[3] == "phx_close" and len(self.joins[told[2]]) == 2 and left == self.joins[told[2]][:1]
        return [] if overtaken else [told]


class NullJoinsPushNull(Remembering):
    rule = "JN-9"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        return [[None, *told[1:]]] if told[3] == "pushed" and self.joins.get(told[2]) == [None] else [told]


class FalseIsNothing(Remembering):
    rule = "JN-12"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if asked and asked[3] == "phx_join" and is_reply(told) and told[4]["response"] == {"echo": False}:
            told[4]["response"] = {}
        return [told]


# --- messages -----------------------------------------------------------------------------------------------------


class ANullJoinRefIsNobodys(Remembering):
    rule = "MS-1"

    def say_on(self, said: Frame) -> list[Frame]:
        return [] if said[:2] == [None, "5"] and said[4] == {"a": 1} and said[3] == "echo" else [said]


class AStatusWithoutAResponse(Remembering):
    rule = "MS-2"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if asked and asked[3] == "broadcast_reply" and is_reply(told):
            told[4]["response"] = None
        return [told]


class EveryStatusIsOk(Remembering):
    rule = "MS-3"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if asked and asked[3] == "error" and is_reply(told):
            told[4]["status"] = "ok"
        return [told]


class StaleMessagesAreHandled(Remembering):
    rule = "MS-4"

    def say_on(self, said: Frame) -> list[Frame]:
        current = self.joins.get(said[2]) if isinstance(said[2], str) else None
        if current and said[0] == "old" and said[3] == "echo":
            said[0] = current[-1]
        return [said]


class AStrayMessageKeepsItsJoinRef(Remembering):
    rule = "MS-5"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        stray = asked and asked[3] == "echo" and is_reply(told, reason="unmatched topic")
        return [[asked[0], *told[1:]]] if asked and stray else [told]


class ALateReplyHasLostItsJoinRef(Flaw):
    rule = "MS-7"

    def told_list(self, told: Frame) -> list[Frame]:
        return [[None, *told[1:]]] if is_reply(told, late=True) else [told]


class NoReplyWithoutARef(Flaw):
    rule = "MS-8"

    def told_list(self, told: Frame) -> list[Frame]:
        return [] if is_reply(told, a=1) and told[1] is None else [told]


class ProtocolNamesAreNotForClients(Flaw):
    rule = "MS-9"

    def said_list(self, said: Frame) -> list[Frame]:
        return [] if said[3] == "phx_reply" else [said]


class AnUnknownEventIsUnknown(Flaw):
    rule = "MS-10"

    def told_list(self, told: Frame) -> list[Frame]:
        if is_reply(told, reason="unhandled event"):
            told[4]["response"]["reason"] = "unknown event"
        return [told]


class TheCloseComesBeforeTheReply(Remembering):
    rule = "LV-1"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if asked and asked[3] == "phx_leave" and told[2] in self.joined and len(self.joins[told[2]]) == 1:
            self.shared[told[2]]["reply"] = told
            return []
        held = self.shared[told[2]].pop("reply", None)
        return [told] if held is None else [told, held]


class AStaleLeaveLeaves(Remembering):
    rule = "LV-3"

    def say_on(self, said: Frame) -> list[Frame]:
        if said[3] == "phx_leave" and said[0] == "old":
            said[0] = self.joins[said[2]][-1]
        return [said]


class ALeaveOutOfTheBlueIsUnmatched(Remembering):
    rule = "LV-4"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        if asked and asked[3] == "phx_leave" and told[2] not in self.joins:
            return [[None, *told[1:4], {"status": "error", "response": {"reason": "unmatched topic"}}]]
        return [told]


class AStopIsACrash(Remembering):
    rule = "LV-5"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        stopped = told[3] == "phx_close" and any(said[3] == "stop" for said in self.refs.values())
        return [[*told[:3], "phx_error", {"reason": "channel_crash"}]] if stopped else [told]


class ALeaveLeavesEverything(Remembering):
    rule = "LV-6"

    def say_on(self, said: Frame) -> list[Frame]:
        others = self.joined - {said[2]} if said[3] == "phx_leave" else set()
        return [said, *([None, None, topic, "phx_leave", {}] for topic in others)]


class TheThirdMemberIsForgotten(Remembering):
    rule = "BC-1"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        topic = self.shared[told[2]]
        if asked and asked[3] == "phx_join":
            topic[self] = len(topic)
        return [] if told[3:] == ["message", {"n": 1}] and topic.get(self) == 2 else [told]


class TheOthersAreEverybody(Flaw):
    rule = "BC-2"

    def said_list(self, said: Frame) -> list[Frame]:
        return [[*said[:3], "broadcast", said[4]]] if said[3] == "broadcast_from" else [said]


class BroadcastsCarryAJoinRef(Flaw):
    rule = "BC-4"

    def told_list(self, told: Frame) -> list[Frame]:
        return [["j", *told[1:]]] if told[3] == "message" else [told]


class AnInterceptedPushHasNoJoinRef(Flaw):
    rule = "BC-5"

    def told_list(self, told: Frame) -> list[Frame]:
        return [[None, *told[1:]]] if told[3] == "private" else [told]


class VersionOneGetsNoPayload(OldFrames):
    rule = "BC-8"

    def told_old(self, told: dict[str, Any]) -> Any:
        return {**told, "payload": {}} if told["event"] == "message" else told


# --- ends ---------------------------------------------------------------------------------------------------------


class ACrashTakesTheOthersAlong(Remembering):
    rule = "ER-1"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        others = self.joined - {told[2]} if told[3] == "phx_error" else set()
        return [told, *([None, None, topic, "phx_error", {}] for topic in others)]


class ACrashIsAnswered(Remembering):
    rule = "ER-3"

    def tell_on(self, told: Frame, asked: Frame | None) -> list[Frame]:
        crash = next((said for said in self.refs.values() if said[3] == "crash"), None)
        if told[3] != "phx_error" or crash is None:
            return [told]
        return [told, [crash[0], crash[1], told[2], "phx_reply", {"status": "error", "response": {}}]]


class BadInputIsOverlooked(Flaw):
    rule = "ER-6"

    def said(self, seen: Seen) -> Way:
        return [] if seen.opcode == TEXT and seen.payload == b"no JSON" else [seen]


class NumbersAreTopics(Flaw):
    rule = "ER-8"

    def said_list(self, said: Frame) -> list[Frame]:
        return [[*said[:2], str(said[2]), *said[3:]]] if type(said[2]) is int else [said]


class ADisconnectIsANormalClose(Flaw):
    rule = "DC-2"

    def told(self, seen: Seen) -> Way:
        if seen.opcode == CLOSE and seen.payload == (1001).to_bytes(2, "big"):
            seen.payload = (1000).to_bytes(2, "big")
        return [seen]


class OnceDisconnectedAlwaysRefused(Flaw):
    rule = "DC-4"

    def asked(self, asked: Asked) -> Asked | HttpAnswer:
        user = dict(asked.pairs).get("user_id", "")
        return no(403) if user and user in self.shared["gone"] else asked

    def said_list(self, said: Frame) -> list[Frame]:
        if said[3] == "disconnect":
            self.shared["gone"][said[4]["user_id"]] = True
        return [said]


class MasksAreNotNeeded(Flaw):
    rule = "DC-7"

    def said(self, seen: Seen) -> Way:
        seen.masked = True
        return [seen]


class AnyCodeWillDo(Flaw):
    rule = "DC-8"

    def said(self, seen: Seen) -> Way:
        if seen.opcode == CLOSE and seen.payload[:2] == (1005).to_bytes(2, "big"):
            seen.payload = (1000).to_bytes(2, "big")
        return [seen]


class TooLargeIsBadInput(Flaw):
    rule = "LM-1"

    def told(self, seen: Seen) -> Way:
        if seen.opcode == CLOSE and seen.payload[:2] == (1009).to_bytes(2, "big"):
            seen.payload = (1011).to_bytes(2, "big")
        return [seen]


# --- long-poll ----------------------------------------------------------------------------------------------------


class Polled(Flaw):
    """For flaws of long-poll answers: `body` is their JSON."""

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        if not asked.path.endswith("/longpoll") or not isinstance(answer.json(), dict):
            return answer
        return HttpAnswer(answer.status, answer.headers, json.dumps(self.polled(asked, answer.json())).encode())

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        return body


class AnswersMayBeStored(Polled):
    rule = "LP-1"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        if asked.method == "GET":
            answer.headers.pop("cache-control", None)
        return answer


class OptionsForTwoHours(Polled):
    rule = "LP-2"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        if asked.method == "OPTIONS":
            answer.headers["access-control-max-age"] = "7200"
        return answer


class LongPollKnows405(Polled):
    rule = "LP-3"

    def asked(self, asked: Asked) -> Asked | HttpAnswer:
        return no(405) if asked.method in {"PUT", "PATCH"} and asked.path.endswith("/longpoll") else asked


class ARefusedSessionIs429(Polled):
    rule = "LP-4"

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        return {"status": 429} if "refuse=429" in asked.query else body


class APollWithoutItsToken(Polled):
    rule = "LP-5"

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        if body["status"] == 200:
            body.pop("token", None)
        return body


class ADeadPostIs404(Polled):
    rule = "LP-6"

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        dead = asked.method == "POST" and asked.headers.get("x-phoenix-longpoll-token") == "nonsense"
        return {"status": 404} if dead else body


class ALongPostIsFine(Polled):
    rule = "LP-7"

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        return {"status": 200} if body["status"] == 408 else body


class TheFirstTokenCounts(Polled):
    rule = "LP-8"

    def asked(self, asked: Asked) -> Asked:
        if asked.path.endswith("/longpoll"):
            asked.query = asked.query.replace("token=mine&vsn=2.0.0&token=", "token=mine&vsn=2.0.0&last=")
        return asked


class OnlyTenFramesOfABody(Polled):
    rule = "LP-9"

    def asked(self, asked: Asked) -> Asked:
        lines = asked.body.split(b"\r\n")
        asked.body = b"\r\n".join(lines[:10]) if len(lines) > 10 else asked.body
        return asked


class BadBase64IsATrouble(Polled):
    rule = "LP-10"

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        return no(500) if asked.body.startswith(b"!") else answer


class TokensAreNotChecked(Polled):
    rule = "LP-14"

    def asked(self, asked: Asked) -> Asked:
        token = asked.headers.get("x-phoenix-longpoll-token", "")
        if token.endswith("x") and token[:-1] in self.shared["tokens"]:
            asked.headers["x-phoenix-longpoll-token"] = token[:-1]
        return asked

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        self.shared["tokens"][body.get("token")] = True
        return body


class NoHeartbeatsByPoll(Polled):
    rule = "LP-15"

    def asked(self, asked: Asked) -> Asked:
        if b'"6","phoenix","heartbeat"' in asked.body:
            asked.body = asked.body.replace(b"heartbeat", b"nothing")
        return asked


class APolledMessageIsTurnedAround(Polled):
    rule = "LP-16"

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        if all('"message"' in text for text in body.get("messages", ())):
            body.get("messages", []).reverse()
        return body


class FormsAreEaten(Polled):
    rule = "LP-19"

    def asked(self, asked: Asked) -> Asked:
        if asked.headers.get("content-type") == "application/x-www-form-urlencoded":
            asked.body = asked.body.replace(b"phx_join", b"phx_eaten")
        return asked


class APolledCrashIsAClose(Polled):
    rule = "ER-4"

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        if "messages" in body:
            body["messages"] = [text.replace("phx_error", "phx_close") for text in body["messages"]]
        return body


class TheSameTokenAgain(Polled):
    rule = "DC-3"

    def polled(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        token = asked.headers.get("x-phoenix-longpoll-token")
        if token and asked.method == "GET" and body["status"] == 410:
            body["token"] = token
        return body


# --- presence -----------------------------------------------------------------------------------------------------


class Told(Flaw):
    """For flaws of presence: `state` is a map of keys, `diff` has joins and leaves."""

    def told_list(self, told: Frame) -> list[Frame]:
        if told[3] == "presence_diff":
            return self.diff(told)
        return self.state(told) if told[3] == "presence_state" else [told]

    def state(self, told: Frame) -> list[Frame]:
        return [told]

    def diff(self, told: Frame) -> list[Frame]:
        return [told]


class WhoKnowsNoRefs(Told):
    rule = "PR-1"

    def told_list(self, told: Frame) -> list[Frame]:
        for entry in told[4]["response"].values() if is_reply(told) and isinstance(told[4]["response"], dict) else ():
            for meta in entry.get("metas", ()) if isinstance(entry, dict) else ():
                if "tags" in meta:
                    meta["phx_ref"] = 1
        return [told]


class TheStateOnlyOnce(Told):
    rule = "PR-2"

    def state(self, told: Frame) -> list[Frame]:
        again = told[2] in self.shared["stated"]
        self.shared["stated"][told[2]] = True
        return [] if again and told[0] == "2" else [told]


class TheStateIsABroadcast(Told):
    rule = "PR-3"

    def state(self, told: Frame) -> list[Frame]:
        return [[None, *told[1:]]]


class EmptySidesAreLeftOut(Told):
    rule = "PR-4"

    def diff(self, told: Frame) -> list[Frame]:
        return [[*told[:4], {side: keys for side, keys in told[4].items() if keys}]]


class ALeaveWithAnotherRef(Told):
    rule = "PR-5"

    def diff(self, told: Frame) -> list[Frame]:
        for meta in told[4]["leaves"].get("untrack", {}).get("metas", ()):
            meta["phx_ref"] += "x"
        return [told]


class AnUpdateForgetsWhatWas(Told):
    rule = "PR-6"

    def diff(self, told: Frame) -> list[Frame]:
        for entry in told[4]["joins"].values():
            for meta in entry["metas"]:
                meta.pop("phx_ref_prev", None)
        return [told]


class NobodySeesTheirOwnDiff(Told):
    rule = "PR-10"

    def diff(self, told: Frame) -> list[Frame]:
        told[4]["joins"].pop("self", None)
        return [told]


class SpecialKeysAreLeftOut(Told):
    rule = "PR-17"

    def diff(self, told: Frame) -> list[Frame]:
        told[4]["joins"].pop("__proto__", None)
        return [told]


class TheStateInAList(OldFrames):
    rule = "PR-19"

    def told_old(self, told: dict[str, Any]) -> Any:
        return {**told, "payload": [told["payload"]]} if told["event"] == "presence_state" else told
