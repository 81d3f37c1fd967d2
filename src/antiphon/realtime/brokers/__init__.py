"""Servers in between: how the processes of a cluster hear of each other. One file for each kind of server."""
