"""This process among others: what one broadcasts, all deliver."""
