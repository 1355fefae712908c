"""TLS beneath both versions of HTTP."""
