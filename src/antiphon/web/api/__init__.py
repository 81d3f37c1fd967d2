"""The REST API below `/api/v1`, one file per noun."""
