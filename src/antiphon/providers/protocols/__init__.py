"""The wire protocols that models speak, without I/O: a request to bytes, and bytes, however they are cut, to events."""
