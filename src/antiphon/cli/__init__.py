"""The command line: `antiphon serve`, `init`, `doctor` and so on. Each command imports what it needs when it runs."""
