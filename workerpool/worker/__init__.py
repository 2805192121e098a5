"""What runs on a worker's thread."""
