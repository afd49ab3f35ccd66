"""The stores of flows: memory, SQLite and PostgreSQL, behind one interface."""
