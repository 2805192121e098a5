"""The service's page at `/`: HTML made on the server. Links and forms do all; scripts of its own keep it up to date."""
