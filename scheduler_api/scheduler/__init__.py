"""Beat's engine: it plans slots, claims due tasks, and ends runs that no worker reports on."""
