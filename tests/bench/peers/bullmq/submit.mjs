// Submits tasks to BullMQ in bulk and is told of each by the queue's events, which carry the result.
import { Queue, QueueEvents } from "bullmq";
import { measure } from "./crowd.mjs";

const connection = { host: "127.0.0.1", port: Number(process.env.PEER_REDIS_PORT) };
const data = { text: "x".repeat(128 - 11) };
const queue = new Queue("noop", { connection });
const events = new QueueEvents("noop", { connection });
const waiting = new Map();
let wanted = [];
let next = 0;

events.on("completed", ({ jobId, returnvalue }) => {
  waiting.get(jobId)?.(returnvalue);
  waiting.delete(jobId);
});
events.on("failed", ({ failedReason }) => {
  throw new Error(`a task failed: ${failedReason}`);
});

// What is asked for in one turn of the loop goes out as one bulk.
function flush() {
  const jobs = wanted;
  wanted = [];
  queue.addBulk(jobs).catch((error) => {
    throw error;
  });
}

function task() {
  const jobId = `t${next++}`;
  if (wanted.length === 0) setImmediate(flush);
  wanted.push({ name: "noop", data, opts: { jobId } });
  return new Promise((resolve) => waiting.set(jobId, resolve));
}

await events.waitUntilReady();
await measure(task);
process.exit(0);
