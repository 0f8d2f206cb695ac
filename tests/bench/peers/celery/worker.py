"""The application that Celery's worker and the submitter share: one task that gives back what it was given."""

import os

from celery import Celery

REDIS = f"redis://127.0.0.1:{os.environ['PEER_REDIS_PORT']}"

app = Celery("worker", broker=f"{REDIS}/0", backend=f"{REDIS}/1")
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    result_serializer="json",
    task_ignore_result=False,
    task_send_sent_event=False,
    worker_send_task_events=False,
    worker_disable_rate_limits=True,
    worker_prefetch_multiplier=int(os.environ.get("PEER_PREFETCH", "64")),
    task_acks_late=os.environ.get("PEER_ACKS_LATE") == "1",
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop(body):
    return body
