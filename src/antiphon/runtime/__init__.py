"""What runs the house: lifecycle, tasks, registry, clock."""
