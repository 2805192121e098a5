"""The commands, a module each; `workerpool_cli` loads them. Data on stdout, the rest on stderr."""
