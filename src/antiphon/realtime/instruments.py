"""What the real-time part counts."""

from prometheus_client import Counter

from antiphon.telemetry.metrics import Metrics


def rate_limited(metrics: Metrics) -> Counter:
    """Counts what a socket sent too fast, by the limit that it met: messages, joins, middleware."""
    return metrics.counter(
        "antiphon_ws_rate_limited_total", "Messages and joins refused because their socket sent too many.", ("limit",)
    )


class Instruments:
    """Made once per application; label children are kept, so counting costs one call."""

    def __init__(self, metrics: Metrics) -> None:
        frames = metrics.counter("antiphon_ws_frames_total", "Frames handled.", ("direction",))
        self.received = frames.labels("in")
        self.sent = frames.labels("out")
        self.too_many_messages = rate_limited(metrics).labels("messages")
        self.too_many_joins = rate_limited(metrics).labels("joins")
        self.sockets = metrics.gauge("antiphon_ws_sockets", "Open sockets.")
        self.channels = metrics.gauge("antiphon_ws_channels", "Joined channels.")
        self.crashes = metrics.counter("antiphon_ws_channel_crashes_total", "Channels and joins ended by an exception.")
        self.unmatched = metrics.counter(
            "antiphon_ws_unmatched_total", "Frames for topics that nothing serves, or that were not joined."
        )
        self.refused = metrics.counter("antiphon_ws_refused_total", "Connections refused.", ("status",))
        self.turned_away = metrics.counter(
            "antiphon_ws_turned_away_total", "Connections refused because they were one too many.", ("limit",)
        )
        tokens = metrics.counter("antiphon_ws_access_tokens_total", "Tokens to prolong access.", ("outcome",))
        self.tokens_accepted = tokens.labels("accepted")
        self.tokens_refused = tokens.labels("refused")
        self.access_expired = metrics.counter(
            "antiphon_ws_access_expired_total", "Sockets closed because their access had ended."
        )
        self.limits_met = metrics.counter(
            "antiphon_ws_limits_met_total", "Times that a limit was met, by the setting that it has.", ("limit",)
        )
        self.closed = metrics.counter("antiphon_ws_closed_total", "Sockets closed by the server.", ("code",))
        self.dropped = metrics.counter(
            "antiphon_ws_dropped_total", "Broadcasts that slow clients were not sent, by the policy of their topic."
        )
        self.unsayable = metrics.counter(
            "antiphon_ws_unsayable_total", "Broadcasts of bytes that a client of version 1 could not be sent."
        )
        self.broadcasts = metrics.counter("antiphon_ws_broadcasts_total", "Broadcasts encoded.")
