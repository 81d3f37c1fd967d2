"""The configuration: one tree composed of the sections that packages declare, and where each value in it came from."""
