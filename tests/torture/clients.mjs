/**
 * Many real, unmodified socket.io-clients in one process, each behaving as an application is asked to: one cursor, joins
 * again with `since` unless recovered, asks again for joins that were not answered, drops what it has.
 *
 *     node clients.mjs '{"url": "http://127.0.0.1:8000", "clients": [{"id": 1, "rooms": ["stream:1", "marketplace"]}]}'
 *
 * Says JSON lines on stdout: {"client", "on": "connect", recovered} {"on": "joined", room, ack, since}
 * {"on": "event", room, offset, twice} {"on": "disconnect"}. Ends with its stdin.
 */
import { writeSync } from "node:fs";
import { createRequire } from "node:module";

const { io } = createRequire(new URL("../../client/package.json", import.meta.url))("socket.io-client");
const { url, clients } = JSON.parse(process.argv[2]);

function say(fact) {
  let rest = Buffer.from(`${JSON.stringify(fact)}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code === "EPIPE") process.exit(0);
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

const order = (cursor) => cursor.split(".")[1].split("-").map(Number);
const newer = (a, b) => {
  const [one, two] = [order(a), order(b)];
  return one[0] - two[0] || one[1] - two[1];
};

function run({ id, rooms }) {
  let cursor; // the newest of a durable event's or an answer's, not moved while a join is unanswered
  const joined = new Set();
  const unanswered = new Map(); // room -> since
  const seen = new Map(); // room -> newest offset
  const move = (to) => {
    if (unanswered.size === 0 && (cursor === undefined || newer(to, cursor) > 0)) cursor = to;
  };
  const socket = io(url, {
    transports: ["websocket"], forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 1000, timeout: 4000,
    auth: (callback) => callback(cursor === undefined ? {} : { since: cursor }),
  });
  const join = (room) => {
    const [kind, name] = room.split(":");
    const since = unanswered.get(room);
    const message = name === undefined ? [`join-${kind}`] : [`join-${kind}-room`, name];
    const connection = socket.id;
    socket.emit(...message, ...(since === undefined ? [] : [{ since }]), (ack) => {
      if (connection !== socket.id) return;
      if (!ack.ok) return void setTimeout(() => unanswered.has(room) && socket.connected && join(room), 300);
      unanswered.delete(room);
      joined.add(room);
      move(ack.cursor);
      say({ client: id, on: "joined", room, ack, since });
    });
  };
  socket.on("connect", () => {
    say({ client: id, on: "connect", recovered: Boolean(socket.recovered) });
    if (!socket.recovered) for (const room of rooms) if (!unanswered.has(room)) unanswered.set(room, cursor);
    for (const room of unanswered.keys()) join(room);
  });
  socket.onAny((name, ...args) => {
    const at = args.at(-1);
    const meta = args[0]?.meta;
    if (meta) {
      const offset = `x.${meta.offset}`;
      const twice = seen.has(meta.room) && newer(offset, seen.get(meta.room)) <= 0;
      if (!twice) seen.set(meta.room, offset);
      say({ client: id, on: "event", room: meta.room, offset: meta.offset, twice, joining: unanswered.has(meta.room) });
    }
    if (typeof at === "string") move(at);
  });
  socket.on("disconnect", (reason) => say({ client: id, on: "disconnect", reason }));
}

clients.forEach(run);
process.stdin.on("end", () => process.exit(0)).resume();
