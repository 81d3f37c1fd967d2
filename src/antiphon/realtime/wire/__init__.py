"""What frames say: one serializer for each version of the protocol."""
