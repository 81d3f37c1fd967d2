"""Ollama's own protocol: lines of JSON, with the size of the window in each request."""
