"""The home of the store in PostgreSQL, for any number of processes; psycopg's and procrastinate's home."""
