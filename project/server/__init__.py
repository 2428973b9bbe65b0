"""How gunicorn serves the API: a worker that no slow client can hold up."""
