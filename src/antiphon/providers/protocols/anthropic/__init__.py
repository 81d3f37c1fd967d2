"""Anthropic's messages protocol, which several other vendors speak as well."""
