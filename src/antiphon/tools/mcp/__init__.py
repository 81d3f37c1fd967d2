"""Tools of MCP servers: programs of others that are started or reached, and whose tools become ours."""
