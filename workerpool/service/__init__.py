"""The job service: durable fetch jobs over HTTP, one command, no broker. `workerpool serve` runs it."""
