"""What can be seen of each rule from outside, one module for each family of rules."""
