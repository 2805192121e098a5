"""Rules that decide and say how long; none of them sleeps or does I/O."""
