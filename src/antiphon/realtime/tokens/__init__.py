"""Signed tokens that an Elixir service with the same secret reads and writes too."""
