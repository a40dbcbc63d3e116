/** A server in one page: an outbox, joins with `since`, sessions, snapshots; and a network that does its worst. */
import type { RealtimeOptions } from "../src/connection.js";
import { after, GENESIS, isOpen, OWNER, takenBack, treasuryView, type Deed, type Mined, type Words, type World } from "./chain.js";

type Handler = (...args: unknown[]) => void;

/** One emission. Its place in the log is its position. */
export interface Said {
  name: string;
  room: string;
  offset: string;
  payload: { type: string; role?: string; data: object; meta: { id: string; op: string; room: string; offset: string } };
}

/** What has to be done first, where a deed cannot be done. */
const FIRST: Partial<Record<Deed["do"], Deed["do"]>> = {
  withdraw: "create",
  cancel: "create",
  list: "create",
  reprice: "list",
  delist: "list",
  buy: "list",
  reserve: "list",
  expire: "reserve",
  approve: "propose",
  execute: "propose",
  admin: "propose",
};

const EPOCH = "5ef1db07";
const START = `${EPOCH}.0-0`;
const ROWS_A_PAGE = 2; // so that lists have several
const USER = `user:${OWNER}`;

export class Server {
  readonly log: Said[] = [];
  /** The world and the length of the log, whenever either became another. */
  readonly past: { world: World; said: number }[] = [{ world: GENESIS, said: 0 }];
  readonly sockets: FakeSocket[] = [];
  readonly chain: Mined[] = [];
  #undone: Mined[] = [];
  #seq = 0;
  #mined = 0;
  /** ms from a message to what it does, and from there until it is stored and answered. */
  joins = 1;
  stores = 1;
  /** ms that a frame and an answer of HTTP are on their way. */
  wire = 0;
  latency = 1;
  /** How many changes the node that answers HTTP is behind. */
  behind = 0;
  forgetsSessions = false;
  forgetsOutbox = false;
  isTwofold = false;
  /** Frames that a recovered connection is told again. */
  rewinds = 0;

  get world(): World {
    return this.past.at(-1)!.world;
  }

  cursorAt(said: number): string {
    return said === 0 ? START : `${EPOCH}.${this.log[said - 1]!.offset}`;
  }

  /** How much of the log a cursor has behind it. */
  saidBefore(cursor: string): number {
    if (cursor === START) return 0;
    const at = this.log.findIndex((it) => cursor === `${EPOCH}.${it.offset}`);
    if (at < 0) throw new Error(`nobody said ${cursor}`);
    return at + 1;
  }

  mine(deed: Deed, id?: string): void {
    const before = this.world;
    const outcome = after(before, deed) ?? after(before, { ...deed, do: FIRST[deed.do] ?? "fee" }) ?? after(before, { ...deed, do: "create" });
    if (!outcome) return;
    const mined = { ...outcome, id: id ?? `e${++this.#mined}`, deed, before };
    this.chain.push(mined);
    this.#become(outcome.world, [{ id: mined.id, words: outcome.words, op: "apply" }]);
  }

  /** Takes the last events back. */
  revert(depth: number): void {
    const events = this.chain.splice(-depth);
    this.#undone = events;
    if (events.length === 0) return;
    this.#become(events[0]!.before, takenBack(events).map((it) => ({ ...it, op: "rollback" })));
  }

  /** Mines again, in the same blocks, what was taken back last. */
  restore(): void {
    for (const { deed, id } of this.#undone.splice(0)) this.mine(deed, id);
  }

  #become(world: World, entries: { id: string; words: Words[]; op: string }[]): void {
    // one transaction: whoever reads sees all of it or nothing
    const from = this.log.length;
    for (const { id, words, op } of entries) {
      if (words.length === 0) continue;
      const seq = ++this.#seq;
      words.forEach(({ room, name, type, role, data }, n) => {
        const offset = `${seq}-${n}`;
        const facts = { txHash: "0x", blockHeight: 100 + seq, blockHash: "0x", timestamp: 0 };
        const meta = { v: 1, offset, id, room, op, event: type, reapplied: false, late: false };
        this.log.push({ name, room, offset, payload: { type, ...(role ? { role } : {}), data: { ...data, ...facts }, meta } });
      });
    }
    this.past.push({ world, said: this.log.length });
    for (const said of this.log.slice(from)) {
      for (const socket of this.sockets) if (socket.isIn(said.room)) socket.tell(said, `${EPOCH}.${said.offset}`);
    }
  }

  /** What GET answers: read when the request arrives, and on its way back for as long. */
  readonly fetch = async (path: string): Promise<Response> => {
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, this.latency / 2));
    await pause();
    const body = this.#answer(path);
    await pause();
    const isThere = "data" in body;
    return { ok: isThere, status: isThere ? 200 : 404, json: () => Promise.resolve(structuredClone(body)) } as Response;
  };

  #answer(path: string): object {
    const { world, said } = this.past[Math.max(0, this.past.length - 1 - this.behind)]!;
    const [route, query] = path.split("?") as [string, string?];
    const told = (data: unknown): object => ({ asOf: this.cursorAt(said), tip: { blockHeight: 100 + said, timestamp: null }, data });
    const page = (rows: readonly object[], key: string): object => {
      const from = new URLSearchParams(query).get("after");
      const rest = rows.filter((it) => from === null || Number((it as Record<string, string>)[key]) < Number(from));
      const shown = rest.slice(0, ROWS_A_PAGE);
      const next = rest.length > shown.length ? (shown.at(-1) as Record<string, string>)[key] : null;
      return { ...told(shown), next };
    };
    if (route.startsWith("/api/streams/")) {
      const data = streamSnapshot(world, route.slice("/api/streams/".length));
      return data ? told(data) : { asOf: this.cursorAt(said) };
    }
    if (route === "/api/marketplace") return told(marketSnapshot(world).market);
    if (route === "/api/marketplace/listings") return page(marketSnapshot(world).listings, "streamId");
    if (route === "/api/marketplace/sales") return { ...told(world.sales), next: null };
    if (route === "/api/treasury") return told(treasuryView(world));
    if (route === "/api/treasury/proposals") return page(treasurySnapshot(world).proposals, "proposalId");
    if (route === "/api/treasury/fees") return { ...told(world.fees), next: null };
    throw new Error(`no route ${path}`);
  }

  readonly connect = ((_: unknown, options: { auth: FakeSocket["auth"] }) =>
    new FakeSocket(this, options.auth)) as unknown as NonNullable<RealtimeOptions["connect"]>;

  lose(): void {
    for (const socket of this.sockets) socket.lose();
  }

  /** What keeps a browser from connecting is over. */
  letIn(): void {
    for (const socket of this.sockets) socket.accept();
  }
}

export function streamSnapshot(world: World, id: string): object | null {
  const stream = world.streams[id];
  return stream ? { stream, nfts: null, listing: world.listings[id] ?? null, purchase: null } : null;
}

const descending = <T extends object>(rows: Record<string, T>): T[] =>
  Object.entries(rows)
    .sort(([a], [b]) => Number(b) - Number(a))
    .map((it) => it[1]);

export function marketSnapshot(world: World): { market: object; listings: object[]; sales: object[] } {
  const market = { totalListings: String(Object.keys(world.listings).length), totalSales: String(world.sales.length) };
  return { market, listings: descending(world.listings).filter(isOpen), sales: world.sales };
}

export function treasurySnapshot(world: World): { treasury: object; proposals: object[]; fees: object[] } {
  return { treasury: treasuryView(world), proposals: descending(world.proposals), fees: world.fees };
}

/** A connection, with the session that the server keeps of it. */
export class FakeSocket {
  connected = false;
  recovered = false;
  active = true;
  /** By room: from which place of the log on it counts. Null: the server knows no such session. */
  #session: Map<string, number> | null = null;
  /** The library's offset: how much of the log the last cursor had behind it that this page heard. */
  #offset = 0;
  #closed = true; // by the application
  #life = 0; // of which connection a timer is
  #due: Handler[] = [];
  readonly #handlers = new Map<string, Handler>();
  #any: Handler | null = null;

  constructor(
    readonly server: Server,
    readonly auth: (give: (auth: { since?: string }) => void) => void,
  ) {
    server.sockets.push(this);
  }

  on(name: string, handler: Handler): void {
    this.#handlers.set(name, handler);
  }
  onAny(handler: Handler): void {
    this.#any = handler;
  }
  offAny(): void {
    this.#any = null;
  }
  removeAllListeners(): void {
    this.#handlers.clear();
  }
  connect(): void {
    this.#closed = false;
    setTimeout(() => this.accept(), 1);
  }
  disconnect(): void {
    this.#closed = true;
    this.#drop();
  }

  isIn(room: string): boolean {
    return this.connected && this.#session!.has(room);
  }

  accept(): void {
    if (this.connected || this.#closed) return;
    this.auth(({ since }) => !this.connected && !this.#closed && this.#begin(since));
  }

  #begin(since: string | undefined): void {
    const { server } = this;
    this.connected = true;
    this.#life++;
    this.#free = 0;
    this.recovered = this.#session !== null && !server.forgetsSessions;
    let from = Math.max(0, this.#offset - server.rewinds);
    if (!this.recovered) {
      const canResume = since !== undefined && !server.forgetsOutbox;
      from = canResume ? server.saidBefore(since) : server.log.length;
      this.#session = new Map([[USER, from]]);
      this.#offset = from;
    }
    const missed = server.log.slice(from).filter((it, at) => (this.#session!.get(it.room) ?? Infinity) <= from + at);
    this.#handlers.get("connect")?.();
    for (const said of missed) this.tell(said, `${EPOCH}.${said.offset}`);
  }

  lose(): void {
    if (!this.connected) return;
    this.#drop();
    this.#handlers.get("disconnect")?.("transport close");
  }

  /** What is on its way is lost, and whoever waits for an answer is told so. */
  #drop(): void {
    this.connected = false;
    this.#life++;
    for (const answer of this.#due.splice(0)) answer(new Error("socket has been disconnected"));
  }

  #later(ms: number, call: () => void): void {
    const life = this.#life;
    setTimeout(() => life === this.#life && call(), ms);
  }

  tell(said: Said, cursor: string): void {
    for (let time = 0; time < (this.server.isTwofold ? 2 : 1); time++) {
      this.#later(this.#wire, () => {
        this.#any?.(said.name, structuredClone(said.payload), cursor);
        this.#offset = this.server.saidBefore(cursor);
      });
    }
  }

  /** One way for frames and answers alike: none overtakes another. */
  get #wire(): number {
    this.#arrives = Math.max(this.#arrives, Date.now() + 1 + this.server.wire); // fake timers take 0 for 1, or not
    return this.#arrives - Date.now();
  }
  #arrives = 0;
  #free = 0;

  timeout(): { emit: (name: string, ...args: unknown[]) => void } {
    return {
      emit: (name, ...args) => {
        const answer = args.pop() as Handler;
        this.#due.push(answer);
        const give = (said: object): void =>
          this.#later(this.#wire, () => {
            this.#due = this.#due.filter((it) => it !== answer);
            answer(null, said);
          });
        // one after another
        this.#free = Math.max(this.#free, Date.now()) + this.server.joins + this.server.stores;
        this.#later(this.#free - this.server.stores - Date.now(), () => this.#take(name, args, give));
      },
    };
  }

  #take(name: string, args: unknown[], give: (said: object) => void): void {
    const { server } = this;
    const room = name.includes("stream") ? `stream:${args[0]}` : name.replace(/^(join|leave)-/, "");
    if (name.startsWith("leave-")) {
      this.#session!.delete(room);
      return give({ ok: true, room });
    }
    const { since } = args.at(-1) as { since?: string };
    const complete = since === undefined || !server.forgetsOutbox;
    const here = server.log.length;
    const from = since === undefined || !complete ? here : server.saidBefore(since);
    const missed = server.log.slice(from).filter((it) => it.room === room);
    for (const said of missed) this.tell(said, server.cursorAt(here));
    this.#session!.set(room, here);
    const cursor = server.cursorAt(here);
    this.#later(server.stores, () => give({ ok: true, room, cursor, replayed: missed.length, complete }));
  }
}
