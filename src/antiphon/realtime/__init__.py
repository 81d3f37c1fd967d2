"""Phoenix channels for Python, a library of its own: it has never heard of assistants."""
