"""What other libraries take for the same work, each in an environment of its own, timed in turns with ebll."""
