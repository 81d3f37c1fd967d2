"""OpenAI chat completions, which nearly every vendor and gateway speaks, each with deviations of its own."""
