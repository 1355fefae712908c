"""The benchmark: what a delivery, a request and a subscriber cost, beside a bare C `send()` loop.

`python -m bench` builds the two C programs, starts the real server, runs every measure and prints a
table. Figures are CPU time of the server's process read from the OS, so that the client does not
count; see README.md in this directory for how each one is taken.
"""
