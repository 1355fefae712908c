"""Connections: what carries requests and answers, and what a way sees of them."""
