"""The page that refreshes itself."""
