"""What runs on the caller's thread."""
