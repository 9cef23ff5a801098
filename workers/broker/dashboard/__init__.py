"""The page at `/`: static files, served as they are, that use the API like any other client."""
