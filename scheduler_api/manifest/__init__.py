"""The manifest: all periodic tasks of an account in one document, to export, plan and apply."""
