"""Pages of the web for a model to read: fetched from outside only, and turned into text."""
