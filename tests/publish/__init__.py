"""Publishing: one request, a batch, and what the log has not answered."""
