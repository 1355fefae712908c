"""The six ways: each negotiates, encodes (pure), and serves. None of them sees a socket."""
