/**
 * The real, unmodified socket.io-client at the end of a pipe: what the end-to-end tests hear with.
 *
 *     node client.mjs '{"url": "http://127.0.0.1:8000", "rooms": ["stream:1", "marketplace", "user:ST…"],
 *                       "transports": ["websocket"], "auth": {}, "expect": 100}'
 *
 * Says JSON lines on stdout, in the order in which things happen:
 *     {"on": "connect", sid, recovered}    {"on": "joined", room, ack}    {"on": "ready"} after the last answer
 *     {"on": "event", name, args: [payload, cursor], at}    at: ms since 1970, with a fraction
 *     {"on": "expected", count, at} once, after `expect` events that carried a cursor and a payload with meta
 *     {"on": "disconnect", reason}    {"on": "connect_error", message}    {"on": "ack", id, args}
 * Hears JSON lines on stdin: {"emit": "join-stream-room", "args": ["7"], "id": 1} (without id: no ack is asked for)
 * and {"close": true}. Ends, with 0, at that, at the end of stdin and at SIGTERM. Joins again unless recovered.
 */
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { io } = createRequire(new URL("../../client/package.json", import.meta.url))("socket.io-client");

const { url, rooms = [], transports = ["websocket"], auth = {}, expect } = JSON.parse(process.argv[2] ?? "{}");

/** One line, written before this returns: what was heard is not lost, however the process ends. */
function say(fact) {
  let rest = Buffer.from(`${JSON.stringify(fact)}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code === "EPIPE") process.exit(0); // nobody listens any more
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // the pipe is full: wait for its reader
    }
  }
}

const now = () => performance.timeOrigin + performance.now();

/** `stream:7` -> join-stream-room "7"; `user:ST…` -> join-user-room "ST…"; `treasury` -> join-treasury. */
function joinRequest(room) {
  const [kind, id] = room.split(":", 2);
  return id === undefined ? [`join-${kind}`] : [`join-${kind}-room`, id];
}

const socket = io(url, { transports, auth, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 1_000 });
let connection = 0;
let heard = 0;

socket.on("connect", () => {
  connection += 1;
  const mine = connection;
  say({ on: "connect", sid: socket.id, recovered: Boolean(socket.recovered) });
  const wanted = socket.recovered ? [] : rooms;
  let unanswered = wanted.length;
  if (unanswered === 0) say({ on: "ready" });
  for (const room of wanted) {
    socket.emit(...joinRequest(room), (ack) => {
      say({ on: "joined", room, ack });
      unanswered -= 1;
      if (unanswered === 0 && mine === connection) say({ on: "ready" });
    });
  }
});

socket.onAny((name, ...args) => {
  const at = now();
  say({ on: "event", name, args: args.filter((arg) => typeof arg !== "function"), at });
  if (args[0]?.meta && typeof args.at(-1) === "string") {
    heard += 1;
    if (heard === expect) say({ on: "expected", count: heard, at });
  }
});

socket.on("disconnect", (reason) => say({ on: "disconnect", reason }));
socket.on("connect_error", (error) => say({ on: "connect_error", message: error.message }));

function end() {
  socket.close(); // says its goodbye; what is still under way has a moment to leave
  setTimeout(() => process.exit(0), 50);
}

const commands = createInterface({ input: process.stdin });

commands.on("line", (line) => {
  if (line.trim() === "") return;
  const { emit, args = [], id, close } = JSON.parse(line);
  if (close) end();
  else if (id === undefined) socket.emit(emit, ...args);
  else socket.emit(emit, ...args, (...answer) => say({ on: "ack", id, args: answer }));
});
commands.on("close", end);
process.on("SIGTERM", end);
process.on("SIGINT", end);
