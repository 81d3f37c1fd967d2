"""What is remembered of people: facts, kept in this process, in Redis or in the database, and given to models."""
