"""Sinks: where outcomes go. Each kind is a module; `base` says what a sink promises."""
