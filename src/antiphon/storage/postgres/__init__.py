"""The store on PostgreSQL: units of work as transactions of a few lasting connections."""
