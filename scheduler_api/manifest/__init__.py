"""All definitions of an account in one document: export, plan, apply."""
