"""For tests of what is built on Antiphon: a client without a network, a bus with faults, and the protocol's rules."""
