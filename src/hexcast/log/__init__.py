"""The ordered log: one sequence of records, and the promise that goes with an acknowledgement."""
