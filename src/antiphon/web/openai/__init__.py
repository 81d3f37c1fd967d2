"""The house as any client of OpenAI's API sees it: each assistant is a model."""
