// Restate's handler: a service that gives back what it was given.
import * as restate from "@restatedev/restate-sdk";

const noop = restate.service({ name: "noop", handlers: { run: async (_context, input) => input } });
restate.endpoint().bind(noop).listen(Number(process.env.PEER_HANDLER_PORT));
