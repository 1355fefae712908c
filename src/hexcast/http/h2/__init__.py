"""HTTP/2: read `connection` first."""
