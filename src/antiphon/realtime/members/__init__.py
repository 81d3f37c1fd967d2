"""The channels joined on a socket, from the first frame to the last, and the topics that they share."""
