"""What must not be lost: contracts, schema and one folder per database."""
