"""What runs the house: lifecycle, registry, clock, what a process has once."""
