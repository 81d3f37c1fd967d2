"""What keeps strangers' work within bounds: limits of processes, and the processes that keep to them."""
