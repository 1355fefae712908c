"""WebSocket: whole messages of a topic, or `hexcast.v1`, a conversation about many."""
