"""PostgreSQL: `PostgresStorage` and the modules it is put together from. Needs psycopg: ``intentstore[postgres]``."""

from .storage import PostgresStorage

__all__ = ["PostgresStorage"]
