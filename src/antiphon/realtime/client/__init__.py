"""A client for Phoenix channels, of this server or another: joins, pushes with replies, mends its connection."""
