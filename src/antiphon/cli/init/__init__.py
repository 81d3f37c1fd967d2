"""Begins a project of a user's own: questions, the files that follow from the answers, and the next command."""
