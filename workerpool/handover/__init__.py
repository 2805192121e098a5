"""What both sides touch; each class says who may call what."""
