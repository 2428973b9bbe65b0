"""Django's database backend of SQLite, with private files."""
