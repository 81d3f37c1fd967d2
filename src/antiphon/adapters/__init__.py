"""Our ends of the outside messaging platforms, one file each."""
