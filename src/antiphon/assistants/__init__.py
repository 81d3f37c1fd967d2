"""What answers: instructions, tools, the streaming loop and what it is given to read."""
