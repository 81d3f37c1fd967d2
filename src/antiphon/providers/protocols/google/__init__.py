"""Google's generate-content protocol."""
