"""The OpenAPI document, made from the view sets, and the pages that show it."""
