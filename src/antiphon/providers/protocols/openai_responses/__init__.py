"""OpenAI responses: items instead of messages, with reasoning that is given back sealed."""
