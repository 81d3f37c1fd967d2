"""Who is where: a replicated set of presences, the messages that keep it equal on all nodes, and its public face."""
