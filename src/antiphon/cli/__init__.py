"""The command line: `antiphon serve`, `chat`, `demo-server`. Each command imports what it needs when it runs."""
