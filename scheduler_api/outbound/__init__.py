"""Calls to other servers: HTTP client, address guard (SSRF), and the task `http_request`."""
