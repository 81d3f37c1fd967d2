"""Who is let in: from the request to connect to the socket, and until its access ends."""
