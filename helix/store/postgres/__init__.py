"""``postgresql://``: flows in a PostgreSQL database, which several nodes may share."""
