// BullMQ's worker: one queue, a task that gives back what it was given.
import { Worker } from "bullmq";

const connection = { host: "127.0.0.1", port: Number(process.env.PEER_REDIS_PORT) };
new Worker("noop", async (job) => job.data, { connection, concurrency: Number(process.env.PEER_CONCURRENCY) });
