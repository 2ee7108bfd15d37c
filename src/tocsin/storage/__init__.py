"""Where SQLite is opened, migrated and watched for faults; the only part that knows APSW's settings."""
