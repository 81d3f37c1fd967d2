"""What the demo model can do, one file each: a skill reads a sentence and returns a plan, or passes."""
