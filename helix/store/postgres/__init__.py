"""The store ``postgresql://``: flows in a PostgreSQL database that several nodes may share."""
