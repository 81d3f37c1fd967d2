"""The HTTP edge: one port for the page, the API, health and the sockets."""
