// Calls Restate's handler through the ingress over kept connections; an idempotency key makes it keep each result.
import { Pool } from "undici";
import { measure } from "./crowd.mjs";

const body = JSON.stringify({ text: "x".repeat(128 - 11) });
const pool = new Pool(process.env.PEER_INGRESS, { connections: Number(process.argv[3]), pipelining: 1 });
let next = 0;

async function task() {
  const headers = { "content-type": "application/json", "idempotency-key": `t${next++}` };
  const answer = await pool.request({ path: "/noop/run", method: "POST", headers, body });
  const result = await answer.body.text();
  if (answer.statusCode !== 200 || result !== body) throw new Error(`${answer.statusCode}: ${result}`);
}

await measure(task);
process.exit(0);
