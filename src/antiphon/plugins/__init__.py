"""Plugins: code that adds tools, commands, assistants, providers and prompts to a house, and listens to its hooks."""
