"""Webhooks: HTTP notifications of run events, signed and retried.

`runs.events` stores what happened to runs. The webhook sender, a process of its own
(`manage.py deliver_webhooks`), turns each event into a delivery per subscribed webhook (`fan_out`)
and sends the deliveries (`sender`), signed (`signing`). It claims them from the database and
records each attempt there (`delivery_queue`), until they arrive or are given up (`retry_policy`).
"""
