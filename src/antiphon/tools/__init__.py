"""What a model may do: the `@tool` decorator and the built-in tools."""
