"""Live pages: a directory of plain HTML whose marked elements show the newest of their topics."""
