"""robots.txt by RFC 9309: what is asked for where, and what an answer allows; nothing is sent here."""

from .rules import MAX_BYTES, MAX_DELAY, RobotsQuery, RobotsRules, robots_agent
from .text import product_token

__all__ = ["MAX_BYTES", "MAX_DELAY", "RobotsQuery", "RobotsRules", "product_token", "robots_agent"]
