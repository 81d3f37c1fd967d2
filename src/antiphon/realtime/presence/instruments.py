"""What presence counts."""

from antiphon.telemetry.metrics import Metrics


class PresenceInstruments:
    """Made once per `Presence`; label children are kept, so counting costs one call."""

    def __init__(self, metrics: Metrics) -> None:
        self.entries = metrics.gauge("antiphon_presence_entries", "Presences to be seen on this node.")
        self.nodes = metrics.gauge("antiphon_presence_nodes", "Other nodes that are up.")
        refused = metrics.counter("antiphon_presence_refused_total", "Presences that were not tracked.", ("reason",))
        self.refused_entries = refused.labels("entries")
        self.refused_meta = refused.labels("meta")
        diffs = metrics.counter("antiphon_presence_diffs_total", "Diffs, by what was done with them.", ("result",))
        self.diffs_sent = diffs.labels("sent")
        self.diffs_withheld = diffs.labels("withheld")
        self.states_cut = metrics.counter("antiphon_presence_states_cut_total", "States too large to be sent whole.")
        self.failed = metrics.counter("antiphon_presence_callbacks_failed_total", "Callbacks and hooks that raised.")
        self.dropped = metrics.counter("antiphon_presence_callbacks_dropped_total", "Calls dropped: too many waited.")
        self.ghosts = metrics.counter("antiphon_presence_ghosts_total", "Presences whose connection was long gone.")
        bodies = metrics.counter("antiphon_presence_ignored_total", "Messages of nodes ignored.", ("reason",))
        self.garbled = bodies.labels("garbled")
        self.outdated = bodies.labels("outdated")
        self.namesake = bodies.labels("namesake")
        self.overfull = bodies.labels("overfull")
        transfers = metrics.counter("antiphon_presence_transfers_total", "Gaps filled for other nodes.", ("source",))
        self.transferred_recent = transfers.labels("recent")
        self.transferred_all = transfers.labels("all")
