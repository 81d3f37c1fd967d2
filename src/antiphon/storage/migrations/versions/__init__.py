"""One file per revision, named v<number>_<what>.py."""
