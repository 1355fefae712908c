"""`hexcast demo`: this machine's own figures as live topics."""
