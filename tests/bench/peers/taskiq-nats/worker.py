"""The broker that taskiq's workers and the submitter share, and its one task, which gives back what it was given."""

import os

from taskiq import TaskiqMiddleware
from taskiq.serializers import MSGPackSerializer
from taskiq_nats import PullBasedJetStreamBroker
from taskiq_redis import RedisAsyncResultBackend

# A worker that has saved a result says so here; the backend itself tells nobody.
SAVED = "peer.saved."


class Told(TaskiqMiddleware):
    """Says on the broker that a result is saved, so that nobody has to ask for it again and again."""

    async def post_save(self, message, result):
        await self.broker.client.publish(SAVED + message.task_id)


results = RedisAsyncResultBackend(
    f"redis://127.0.0.1:{os.environ['PEER_REDIS_PORT']}", serializer=MSGPackSerializer())
broker = PullBasedJetStreamBroker(
    servers=[f"nats://127.0.0.1:{os.environ['PEER_NATS_PORT']}"],
    pull_consume_batch=int(os.environ.get("PEER_BATCH", "1")),
    pull_consume_timeout=float(os.environ.get("PEER_TIMEOUT_SECS", "0.2")),
).with_result_backend(results).with_middlewares(Told())


@broker.task(task_name="noop")
async def noop(body: str) -> str:
    return body
