"""What an operator asks in the first bad hour, answered line by line."""
