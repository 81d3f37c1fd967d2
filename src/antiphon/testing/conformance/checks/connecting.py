"""TR, OR and AU: the upgrade, who may ask for it, and how it is refused."""

from antiphon.testing.conformance.guest import insist
from antiphon.testing.conformance.raw import HttpAnswer, RawSocket
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room


def refused(answer: HttpAnswer, status: int, *, empty: bool = True) -> None:
    """Fails unless the answer is that refusal."""
    insist(answer.status == status, f"HTTP {status}", answer)
    insist(not empty or not answer.body, "an empty body", answer)


def accepted(socket: RawSocket) -> None:
    """Fails unless the upgrade was made."""
    insist(socket.answer.status == 101, "HTTP 101", socket.answer)


@check("TR-1")
async def below_the_mount(room: Room) -> None:
    accepted(await room.upgrade(path="/websocket"))
    insist((await room.upgrade(path="")).answer.status != 101, "no upgrade on the mount itself", "101")


@check("TR-2")
async def no_version_is_version_1(room: Room) -> None:
    socket = await room.upgrade("")
    accepted(socket)
    guest = room.guest(socket, "1.0.0")
    guest.send(None, "1", "phoenix", "heartbeat", {})
    await guest.expect(None, "1", "phoenix", "phx_reply")


@check("TR-3")
async def two_versions_are_served(room: Room) -> None:
    for vsn in ("1.0.0", "1.0.9", "2.0.0", "2.0.7", "2.0.0%2Bbuild1"):
        accepted(await room.upgrade(f"vsn={vsn}"))
    wrong = ("2", "2.0", "abc", "3.0.0", "123.1.1", "2.1.0", "1.1.0", "2.0.0-rc.1", "", "02.0.0", "%202.0.0")
    for query in (*(f"vsn={vsn}" for vsn in wrong), "vsn[]=2.0.0"):
        refused((await room.upgrade(query)).answer, 403)


async def _disconnects(room: Room, query: str, user: str) -> None:
    guest = room.guest(await room.upgrade(query))
    talker, topic = await room.connect(), room.unique()
    await guest.join(topic)
    await talker.join(topic)
    talker.send(None, None, topic, "disconnect", {"user_id": user})
    insist(await guest.closed() is not None, f"the socket to be known as {user}", "an open connection")


@check("TR-4")
async def the_last_of_equal_keys_wins(room: Room) -> None:
    refused((await room.upgrade("refuse=429&vsn=2.0.0&refuse=403")).answer, 403, empty=False)
    accepted(await room.upgrade("vsn=9.9.9&a[b]=1&a[c][]=2&a[c][]=3&vsn=2.0.0"))
    first, last = room.unique("user-"), room.unique("user-")
    await _disconnects(room, f"user_id={first}&vsn=2.0.0&user_id={last}", last)


@check("TR-5")
async def empty_pairs(room: Room) -> None:
    for query in ("vsn=2.0.0&", "&vsn=2.0.0", "a=1&&vsn=2.0.0", "vsn=2.0.0&=&"):
        accepted(await room.upgrade(query))


@check("TR-6")
async def the_application_sees_every_parameter(room: Room) -> None:
    refused((await room.upgrade("a=1&vsn=2.0.0&refuse=429&b=2")).answer, 429, empty=False)
    user = room.unique("user-é ")
    await _disconnects(room, f"vsn=2.0.0&user_id={user.replace('é', '%C3%A9').replace(' ', '+')}", user)


@check("TR-7")
async def what_is_asked_first(room: Room) -> None:
    plain = await room.ask("GET", "/websocket", "vsn=2.0.0")
    refused(plain, 400, empty=False)
    insist(plain.body, "a short text that says what is missing", plain)
    refused(await room.ask("GET", "/websocket", "vsn=2.0.0&refuse=429"), 429, empty=False)
    refused((await room.upgrade("vsn=3.0.0&refuse=429")).answer, 403)


@check("TR-8")
async def other_methods(room: Room) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused(await room.ask(method, "/websocket", "vsn=2.0.0"), 400)


@check("TR-9")
async def refusals(room: Room) -> None:
    refused((await room.upgrade("vsn=2.0.0&refuse=403")).answer, 403)
    insist((await room.upgrade("vsn=2.0.0&refuse=429")).answer.status == 429, "HTTP 429", "another status")


@check("TR-11")
async def the_upgrade(room: Room) -> None:
    socket = await room.upgrade()
    insist(socket.accepted, "101 with the right Sec-WebSocket-Accept", socket.answer)
    said = socket.answer.headers
    insist("sec-websocket-extensions" not in said, "no extension that was not offered", socket.answer)
    offered = await room.upgrade(headers={"Sec-WebSocket-Extensions": "x-unknown, bbf-usp-protocol"})
    insist("sec-websocket-extensions" not in offered.answer.headers, "no unknown extension", offered.answer)


@check("TR-13")
async def a_malformed_query(room: Room) -> None:
    for query in ("vsn=2.0.0&a=%zz", "vsn=2.0.0&a=%", "vsn=2.0.0&a=%ff"):
        refused((await room.upgrade(query)).answer, 400, empty=False)


@check("TR-14")
async def an_unknown_path(room: Room) -> None:
    for path in ("/nowhere", "/websocket/more"):
        refused((await room.upgrade(path=path)).answer, 404, empty=False)


@check("OR-1")
async def no_origin(room: Room) -> None:
    accepted(await room.upgrade())


async def _from(room: Room, origin: str) -> HttpAnswer:
    return (await room.upgrade(headers={"Origin": origin})).answer


@check("OR-2")
async def the_servers_own_host(room: Room) -> None:
    address = room.address
    own = address.authority.rpartition(":")[0]
    insist((await _from(room, f"http://{own}:{address.port}")).status == 101, "its own origin let in", "a refusal")
    insist((await _from(room, f"https://{own}:9")).status == 101, "scheme and port not looked at", "a refusal")
    for origin in ("http://elsewhere.example", f"http://{own}.elsewhere.example"):
        insist((await _from(room, origin)).status == 403, f"{origin} refused", "an upgrade")


@check("OR-7")
async def an_origin_without_a_host(room: Room) -> None:
    for origin in ("null", "file://", "about:blank"):
        insist((await _from(room, origin)).status == 403, f"{origin} refused", "an upgrade")


@check("OR-8")
async def a_refused_origin(room: Room) -> None:
    answer = await _from(room, "http://elsewhere.example")
    insist(answer.status == 101 or not answer.body, "an empty body", answer)


PROTOCOL = "Sec-WebSocket-Protocol"


def _answered(socket: RawSocket, name: str | None) -> None:
    accepted(socket)
    had = socket.answer.headers.get(PROTOCOL.lower())
    insist(had == name, f"sub-protocol {name}", f"sub-protocol {had}")


@check("AU-3", "ours")
async def phoenix_is_answered(room: Room) -> None:
    token = "base64url.bearer.phx.dG9rZW4"  # noqa: S105 - no secret, the word "token"
    for offered in ("phoenix", f"phoenix, {token}", f"{token}, phoenix", "phoenix, base64url.bearer.phx.%%%"):
        _answered(await room.upgrade(headers={PROTOCOL: offered}), "phoenix")


@check("AU-5")
async def no_sub_protocol(room: Room) -> None:
    _answered(await room.upgrade(), None)
