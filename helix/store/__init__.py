"""Where flows are kept: in memory, in SQLite, in PostgreSQL, behind one interface."""
