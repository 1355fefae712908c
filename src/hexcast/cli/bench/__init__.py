"""`hexcast bench`: the ways against each other on this machine."""
