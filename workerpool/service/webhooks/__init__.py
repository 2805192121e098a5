"""Webhooks by Standard Webhooks: signed messages that tell of finished jobs, tried until they are taken."""
