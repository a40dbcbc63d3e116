/**
 * Node's Socket.IO as its documentation has it: a server, or with "voice" a process that serves nobody and emits
 * through the same adapter.
 *
 *     node server.mjs PORT CTL                       events come in on CTL
 *     node server.mjs PORT 0 REDIS_URL STREAM        events come from Redis
 *     node server.mjs voice CTL REDIS_URL STREAM     events come in on CTL and go to Redis
 *
 * The lines that CTL hears are described in bench/load.c.
 */
import { createServer } from "node:http";
import { createServer as listener } from "node:net";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [port, ctl, url, streamName] = process.argv.slice(2);
const PAYLOAD = 43; // bytes of {"n":…,"t":…,"pad":""} beside the pad, when n has seven digits

const options = { serveClient: false };
if (url) {
  const redis = createClient({ url });
  await redis.connect();
  options.adapter = createAdapter(redis, { streamName });
}
const http = createServer();
const io = new Server(http, options);

io.on("connection", (socket) => {
  const join = (room, answer) => {
    socket.join(room);
    answer?.({ ok: true });
  };
  socket.on("join-marketplace", (answer) => join("marketplace", answer));
  socket.on("join-stream-room", (id, answer) => join(`stream:${id}`, answer));
});

function hear(connection) {
  let rest = "", room = "", rooms = 1, pad = "";
  connection.setNoDelay(true);
  connection.setEncoding("latin1");
  connection.on("error", () => {});
  connection.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const [what, first, second, third] = line.split(" ");
      if (what === "room") {
        room = first;
        rooms = Number(second);
        pad = "x".repeat(Math.max(0, Number(third) - PAYLOAD));
      } else {
        const n = Number(first);
        io.to(room.replace("%d", n % rooms)).emit("stream:updated", { n, t: Number(second), pad });
      }
    }
  });
}

const say = () => console.log("ready");
if (Number(ctl)) await new Promise((done) => listener(hear).listen(Number(ctl), "127.0.0.1", done));
if (port === "voice") say();
else http.listen(Number(port), "127.0.0.1", 4096, say);
