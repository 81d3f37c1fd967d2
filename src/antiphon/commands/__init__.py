"""What people type after a slash, one file each."""
