"""The store on any SQL database: each unit of work and each statement, once for all of them."""
