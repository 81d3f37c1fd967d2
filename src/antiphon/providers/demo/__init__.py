"""The demo model: rules and search instead of weights, the same answer to the same request, on every machine."""
