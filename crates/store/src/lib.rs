//! The database: SQLite or PostgreSQL, from one SQL text. The only place that knows SQL.
