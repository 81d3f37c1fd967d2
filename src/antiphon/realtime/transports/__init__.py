"""How frames reach a socket: one file per transport."""
