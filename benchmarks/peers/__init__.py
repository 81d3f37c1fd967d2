"""Frameworks for assistants that are measured beside ours."""
