"""Who hears of runs: webhooks, and what was sent to them.

`runs.events` has what came of runs. A process of its own (`manage.py deliver_webhooks`) makes of
each a delivery to every webhook that wants it (`fan_out`), in one transaction, and sends these
(`sender`), signed (`signing`), until they have arrived or are given up (`deliveries`, `retrying`).
"""
