"""Asks any server that runs the reference room, rule by rule, whether it speaks the Phoenix protocol."""
