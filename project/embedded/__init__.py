"""The single-machine setup of `make up`: a broker on files, its worker pool, and a supervisor.

Production uses RabbitMQ, PostgreSQL and Celery's own pool instead; see compose.yaml.
"""
