"""HTTP/1.1: read `connection` first, its theory of operation is at the top."""
