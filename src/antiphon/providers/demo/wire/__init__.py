"""The demo server's side of each wire protocol: bytes to a request, events to bytes."""
