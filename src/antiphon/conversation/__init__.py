"""The flow: from a message that arrived to its one outcome."""
