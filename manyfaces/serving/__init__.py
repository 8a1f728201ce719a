"""Hands the marts to those who read them: as a DuckDB file, as Parquet files, or in a Postgres server."""
