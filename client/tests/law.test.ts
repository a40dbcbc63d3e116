/**
 * The law of the client: whatever is lost, doubled, delayed or taken back on the way, what is shown in the end is what
 * the server's snapshot shows, and no emission is heard twice or out of order.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { EmissionName, Emissions } from "../src/catalogue.js";
import { Realtime, type RealtimeOptions } from "../src/connection.js";
import { Snapshot } from "../src/live.js";
import { streamSource, type LiveStream } from "../src/sources.js";

type Handler = (...args: unknown[]) => void;
interface Entry {
  name: string;
  room: string;
  seq: number;
  payload: object;
}

const EPOCH = "5ef1db07";
const ROOMS = ["stream:1", "marketplace"];

/** A server in one page: an outbox, joins with `since`, recovery; and a network that does its worst. */
class Server {
  log: Entry[] = [];
  withdrawn = 0;
  listed = false;
  sockets: FakeSocket[] = [];
  ackDelay = 1;
  forgets = false;
  twice = false;

  get head(): string {
    return `${EPOCH}.${this.log.length}-0`;
  }

  say(name: string, room: string, data: object, op = "apply"): void {
    const seq = this.log.length + 1;
    const meta = { v: 1, offset: `${seq}-0`, id: `${seq}`, room, op, event: name };
    this.log.push({ name, room, seq, payload: { type: name, data: { ...data, blockHeight: 100 + seq }, meta } });
    for (const socket of this.sockets) {
      if (socket.connected && socket.rooms.has(room)) socket.deliver(this.log.at(-1)!, this.head, this.twice);
    }
  }

  withdraw(by: number, op = "apply"): void {
    this.withdrawn += by;
    if (op === "rollback") this.say("chain:reverted", "stream:1", { streamId: "1", state: { stream: this.view } }, op);
    this.say("stream:updated", "stream:1", this.view, op);
  }

  list(): void {
    this.listed = !this.listed;
    this.say(this.listed ? "marketplace:new-listing" : "marketplace:listing-cancelled", "marketplace", { streamId: "1" });
  }

  get view(): object {
    return { streamId: "1", withdrawn: String(this.withdrawn), status: "active" };
  }

  snapshot(): { asOf: string; tip: object; data: LiveStream } {
    const data = { stream: this.view, nfts: null, listing: this.listed ? { streamId: "1" } : null, purchase: null };
    return { asOf: this.head, tip: { blockHeight: 100, timestamp: null }, data: data as LiveStream };
  }
}

class FakeSocket {
  connected = false;
  recovered = false;
  active = true;
  rooms = new Set<string>();
  position = 0;
  known = false;
  readonly handlers = new Map<string, Handler>();
  any: Handler | null = null;

  constructor(readonly server: Server) {
    server.sockets.push(this);
  }

  on(name: string, handler: Handler): void {
    this.handlers.set(name, handler);
  }
  onAny(handler: Handler): void {
    this.any = handler;
  }
  offAny(): void {
    this.any = null;
  }
  removeAllListeners(): void {
    this.handlers.clear();
  }
  connect(): void {
    setTimeout(() => this.accept(), 1);
  }
  disconnect(): void {
    this.connected = false;
  }

  accept(): void {
    if (this.connected) return;
    this.connected = true;
    this.recovered = this.known && !this.server.forgets;
    if (!this.recovered) this.rooms.clear();
    this.known = true;
    this.handlers.get("connect")?.();
    if (!this.recovered) return;
    for (const entry of this.server.log) {
      if (entry.seq > this.position && this.rooms.has(entry.room)) this.deliver(entry, `${EPOCH}.${entry.seq}-0`);
    }
  }

  lose(): void {
    if (!this.connected) return;
    this.connected = false;
    this.handlers.get("disconnect")?.("transport close");
  }

  deliver(entry: Entry, cursor: string, twice = false): void {
    this.position = Math.max(this.position, entry.seq);
    for (let time = 0; time < (twice ? 2 : 1); time++) this.any?.(entry.name, structuredClone(entry.payload), cursor);
  }

  timeout(): { emit: (name: string, ...args: unknown[]) => void } {
    return { emit: (name, ...args) => setTimeout(() => this.take(name, args), this.server.ackDelay) };
  }

  take(name: string, args: unknown[]): void {
    const answer = args.at(-1) as Handler;
    if (!this.connected) return answer(new Error("socket has been disconnected"));
    const room = name.includes("stream") ? `stream:${args[0]}` : name.replace(/^(join|leave)-/, "");
    if (name.startsWith("leave-")) {
      this.rooms.delete(room);
      return answer(null, { ok: true, room });
    }
    const since = (args.at(-2) as { since?: string }).since;
    const from = since === undefined ? this.server.log.length : Number(/\.(\d+)-/.exec(since)![1]);
    const complete = since === undefined || !this.server.forgets;
    const missed = complete ? this.server.log.filter((it) => it.room === room && it.seq > from) : [];
    this.rooms.add(room);
    for (const entry of missed) this.deliver(entry, this.server.head);
    this.position = this.server.log.length;
    answer(null, { ok: true, room, cursor: this.server.head, replayed: missed.length, complete });
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant("withdraw" as const), by: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: fc.constant("revert" as const), by: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: fc.constantFrom("list", "lose", "connect", "forget", "remember", "double", "single") }),
  fc.record({ do: fc.constant("slow" as const), by: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ do: fc.constant("wait" as const), by: fc.integer({ min: 1, max: 1500 }) }),
);

// a second snapshot was asked for while the first was on its way, and what came between them was forgotten
const TWO_SNAPSHOTS_AT_ONCE = [
  { do: "revert" as const, by: 1 },
  { do: "wait" as const, by: 305 },
  { do: "revert" as const, by: 1 },
  { do: "wait" as const, by: 302 },
  { do: "withdraw" as const, by: 1 },
];

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("what is shown in the end is what the server has", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 300 }), async (steps, latency) => {
      // the poll would heal in half a minute what the protocol must have healed at once
      const poll = vi.spyOn(globalThis, "setInterval").mockReturnValue(0 as unknown as ReturnType<typeof setInterval>);
      const server = new Server();
      const connect = (() => new FakeSocket(server)) as unknown as RealtimeOptions["connect"];
      const realtime = new Realtime({ storage: null, connect });
      realtime.fetch = (() => {
        const body = server.snapshot(); // as it is when asked; it arrives later
        return new Promise((resolve) => setTimeout(() => resolve(body as never), latency));
      }) as Realtime["fetch"];
      realtime.lookUp = realtime.fetch as Realtime["lookUp"];
      const heard: string[] = [];
      realtime.subscribe("*", (it: Emissions[EmissionName]) => {
        heard.push(`${it.meta.room} ${it.meta.offset}`);
      });
      const store = new Snapshot(realtime, streamSource(realtime, "1"));
      const stop = store.start();
      for (const it of steps) {
        if (it.do === "withdraw") server.withdraw(it.by);
        else if (it.do === "revert") server.withdraw(-it.by, "rollback");
        else if (it.do === "list") server.list();
        else if (it.do === "lose") server.sockets.forEach((socket) => socket.lose());
        else if (it.do === "connect") server.sockets.forEach((socket) => socket.accept());
        else if (it.do === "slow") server.ackDelay = it.by;
        else if (it.do === "wait") await vi.advanceTimersByTimeAsync(it.by);
        else if (it.do === "forget" || it.do === "remember") server.forgets = it.do === "forget";
        else server.twice = it.do === "double";
      }
      server.sockets.forEach((socket) => socket.accept());
      await vi.advanceTimersByTimeAsync(6_000);
      expect(store.get().data).toEqual(server.snapshot().data);
      for (const room of ROOMS) {
        const offsets = heard.filter((it) => it.startsWith(`${room} `)).map((it) => parseInt(it.split(" ")[1]!));
        expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
      }
      stop();
      await vi.advanceTimersByTimeAsync(2_000);
      expect(server.sockets.every((socket) => !socket.connected)).toBe(true);
      poll.mockRestore();
    }),
    { numRuns: 300, examples: [[TWO_SNAPSHOTS_AT_ONCE, 153]] },
  );
});
