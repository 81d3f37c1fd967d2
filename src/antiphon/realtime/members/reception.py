"""Where broadcasts go that reach a member: to its client, or first through what its channel intercepts."""

from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from antiphon.realtime.members.joining import Receive
from antiphon.realtime.transports.base import Batch

if TYPE_CHECKING:
    from antiphon.realtime.members.member import Member


def receiver_of(member: "Member") -> Receive:
    """Straight to the transport, unless the channel wants to see some of them first."""
    return partial(_intercept, member) if member.channel.hooks else member.socket.transport.send_batch


def _intercept(member: "Member", batch: Batch) -> None:
    """Leads the intercepted broadcasts through the channel (BC-5); what is between them passes by."""
    for caught, messages in groupby(batch.messages, lambda message: message.event in member.channel.hooks):
        if caught:
            for message in messages:
                member.accept(message)
        else:
            member.socket.transport.send_batch(Batch(list(messages), batch.policy))
