"""What a client is told that asks for more than one socket may have."""

TOO_MANY_CHANNELS = "too many channels joined"
TOO_MANY_JOINS = "too many joins"
TOO_MANY_MESSAGES = "too many messages"
