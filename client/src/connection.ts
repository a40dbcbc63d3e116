/**
 * One connection for a whole tab: what rooms are wanted, how far everything was heard, and who listens.
 *
 * The library recovers a short loss by itself (`socket.recovered`). Everything longer is recovered here: each wanted
 * room is joined again from the cursor, and what cannot be resumed is said to whoever holds a snapshot.
 */
import { io, type Socket } from "socket.io-client";
import type { EmissionName, Emissions } from "./catalogue.js";
import { isAfter, readCursor, readOffset, type Offset } from "./cursor.js";
import { guarded, Store, type Stop } from "./store.js";

export type Status = "connecting" | "live" | "reconnecting" | "offline" | "auth-expired";

/** What the server answers to a join. `complete: false`: the past could not be told; fetch the snapshot. */
export type JoinAnswer =
  | { ok: true; room: string; cursor: string; replayed: number; complete: boolean }
  | { ok: false; room: string; error: { code: string; message: string } };

export interface RealtimeOptions {
  /** Where the fanout nodes are; the page's own origin unless told. */
  url?: string;
  /** The token of a signed-in wallet; asked for at each connect. */
  token?: () => string | null | undefined | Promise<string | null | undefined>;
  /** Where the cursor outlives a reload; `sessionStorage` unless told, null for nowhere. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
  /** Makes the socket; for tests, and for options of `socket.io-client` that we have not foreseen. */
  connect?: typeof io;
}

/** How an emission came. `replayed`: it was missed and told afterwards, so nobody needs to be alarmed by it. */
export interface Heard {
  readonly name: EmissionName;
  readonly replayed: boolean;
}

export type Listener<N extends EmissionName> = (emission: Emissions[N], heard: Heard) => void;
export type AnyListener = (emission: Emissions[EmissionName], heard: Heard) => void;

interface Room {
  users: number;
  /** The join that has no answer yet, and from where it asked. */
  asked: { since: string | undefined } | null;
  /** The cursor from which on nothing of it is missing; null while nobody knows. */
  from: string | null;
  waiting: ((answer: JoinAnswer) => void)[];
  /** What was heard of it since it was asked for: a replay that was lost on its way comes after what is newer. */
  held: Spoken[];
}

interface Spoken {
  name: EmissionName;
  emission: Emissions[EmissionName];
  offset: Offset;
}

const ANSWER_MS = 10_000;
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** After a connect, what was missed arrives in one burst; emissions within it count as replayed. */
const BURST_MS = 1_000;
const LINGER_MS = 1_000;
const SAVE_MS = 250;
const TIP_MS = 30_000;

export class Realtime {
  readonly url: string;
  readonly status = new Store<Status>("connecting");
  /** The highest block of which anything was heard, or that a snapshot named. */
  readonly tip = new Store(0);
  /** The own user room, once something came through it or a sign-in named it; null for nobody. */
  readonly address = new Store<string | null>(null);
  readonly #options: RealtimeOptions;
  readonly #rooms = new Map<string, Room>();
  readonly #leaving = new Set<string>();
  readonly #seen = new Map<string, Offset>();
  readonly #listeners = new Map<string, Set<AnyListener>>();
  readonly #resync = new Set<(room: string | null) => void>();
  readonly #shared = new Map<string, { store: unknown; users: number; stop: Stop }>();
  #socket: Socket | null = null;
  #cursor: string | null = null;
  #ahead: string | null = null;
  #epoch: string | null = null;
  #token: string | null | undefined;
  #userSince: string | null = null;
  #users = 0;
  #burstEnds = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #saving: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #tipUsers = 0;
  #tipAt = 0;
  #tipTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: RealtimeOptions = {}) {
    this.#options = options;
    this.url = (options.url ?? "").replace(/\/+$/, "");
    this.#cursor = this.#storage((it) => it.getItem(this.#key)) ?? null;
    const read = readCursor(this.#cursor);
    if (read) this.#epoch = read.epoch;
    else this.#cursor = null;
  }

  get socket(): Socket | null {
    return this.#socket;
  }

  /** Up to where everything of the wanted rooms was heard; opaque. */
  get cursor(): string | null {
    return this.#cursor;
  }

  get isConnected(): boolean {
    return this.#socket?.connected ?? false;
  }

  /** Keeps the connection open until the returned function is called by everyone who asked for it. */
  retain(): Stop {
    if (++this.#users === 1 && !this.#socket) this.#open();
    return once(() => {
      // a page that unmounts one view and mounts the next keeps its connection
      if (--this.#users === 0) setTimeout(() => this.#users === 0 && this.#close(), LINGER_MS);
    });
  }

  /** Listens to one name, or with `*` to all, in whatever room. */
  subscribe<N extends EmissionName>(name: N, listener: Listener<N>): Stop;
  subscribe(name: "*", listener: AnyListener): Stop;
  subscribe(name: string, listener: unknown): Stop {
    const found = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, found.add(listener as AnyListener));
    return () => void found.delete(listener as AnyListener);
  }

  /** Says of which room (null: of all) a snapshot has to be fetched again. */
  onResync(listener: (room: string | null) => void): Stop {
    this.#resync.add(listener);
    return () => void this.#resync.delete(listener);
  }

  /** How far a room was heard; null if nothing was heard of it. */
  seen(room: string): Offset | null {
    return this.#seen.get(room) ?? null;
  }

  /** The cursor from which on a room was heard without a gap; null while that is not known. */
  heardFrom(room: string): string | null {
    return this.#rooms.get(room)?.from ?? null;
  }

  /** Wants a room once more. `since` is a snapshot's `asOf`; without it the room resumes from the stored cursor. */
  join(room: string, since?: string): Promise<JoinAnswer> {
    const known = this.#rooms.get(room);
    this.#leaving.delete(room);
    if (known && ++known.users > 1 && known.asked === null) {
      return Promise.resolve({ ok: true, room, cursor: this.#cursor ?? "", replayed: 0, complete: true });
    }
    const wanted = known ?? { users: 1, asked: null, from: null, waiting: [], held: [] };
    this.#rooms.set(room, wanted);
    const answer = new Promise<JoinAnswer>((resolve) => wanted.waiting.push(resolve));
    if (!wanted.asked) {
      wanted.asked = { since: since ?? this.#cursor ?? undefined };
      this.#ask(room, wanted);
    }
    return answer;
  }

  /** Wants a room once less; it is left when nobody wants it. */
  leave(room: string): void {
    const wanted = this.#rooms.get(room);
    if (!wanted || --wanted.users > 0) return;
    this.#rooms.delete(room);
    this.#seen.delete(room);
    this.#leaving.add(room);
    for (const resolve of wanted.waiting) resolve(refused(room, "LEFT", "the room was left"));
    this.#sendLeave(room);
    this.#catchUp();
  }

  /** Signs in, renews or, with null, signs out. Another address gets another connection: nothing of the old remains. */
  async setToken(token: string | null): Promise<void> {
    const before = this.#token;
    this.#token = token;
    const socket = this.#socket;
    if (!socket) return;
    if (token && socket.connected && (!before || this.status.get() === "auth-expired")) {
      const since = this.#userSince ?? this.#cursor ?? undefined;
      const answer = await new Promise<JoinAnswer & { address?: string }>((resolve) => {
        socket.timeout(ANSWER_MS).emit("authenticate", { token, since }, (error: unknown, said: JoinAnswer) => {
          resolve(error ? refused("user", "UNAVAILABLE", "") : said);
        });
      });
      if (answer.ok) {
        this.#userSince = null;
        this.address.set(answer.address ?? null);
        if (!answer.complete) this.#askAgain(answer.room);
        this.status.set("live");
        return;
      }
    }
    this.address.set(null);
    this.#close();
    if (this.#users) this.#open();
  }

  /** The token of the wallet that is signed in, for requests of its own. */
  async token(): Promise<string | null> {
    return (this.#token !== undefined ? this.#token : await this.#options.token?.()) ?? null;
  }

  /** A request of the signed-in wallet: with its token, or with the cookie that has it. An Error says what went wrong. */
  async asUser<T>(path: string, init: RequestInit = {}): Promise<T | null> {
    const token = await this.token();
    const headers = { ...(init.headers as Record<string, string>), ...(token ? { authorization: `Bearer ${token}` } : {}) };
    return this.fetch<T>(path, { ...init, headers });
  }

  /** Keeps `tip` true while nothing is heard: only a snapshot tells of blocks in which nothing of ours happened. */
  watchTip(): Stop {
    if (++this.#tipUsers === 1) this.#tipTimer = setInterval(() => void this.#lookAtTip(), TIP_MS);
    return once(() => {
      if (--this.#tipUsers === 0) clearInterval(this.#tipTimer);
    });
  }

  /** GET of a snapshot; an Error says what went wrong. A 404 gives null. */
  async fetch<T>(path: string, init: RequestInit = {}): Promise<T | null> {
    const found = await this.lookUp<T & { asOf: string; data: unknown }>(path, init);
    return found.data === null ? null : (found as T);
  }

  /** GET of one thing. That there is none is also true as of a cursor: `data` is null then. */
  async lookUp<T extends { asOf: string; data: unknown }>(
    path: string,
    init: RequestInit = {},
  ): Promise<T | { asOf: string; data: null }> {
    const response = await fetch(this.url + path, { credentials: "include", ...init });
    const { ok, status } = response;
    if (!ok && status !== 404) throw new Error(`${init.method ?? "GET"} ${path}: ${status}`);
    const found = (await response.json()) as T;
    return ok ? found : { ...found, data: null };
  }

  /** One store for all who ask for the same key, alive while anyone uses it. */
  share<S extends { start(): Stop }>(key: string, make: () => S): { store: S; use: () => Stop } {
    const found = this.#shared.get(key);
    const store = (found?.store as S | undefined) ?? make();
    const use = (): Stop => {
      const entry = this.#shared.get(key) ?? { store, users: 0, stop: store.start() };
      this.#shared.set(key, entry);
      entry.users++;
      return once(() => {
        entry.users--;
        // strict mode unmounts and mounts again within one turn
        setTimeout(() => {
          if (entry.users > 0 || this.#shared.get(key) !== entry) return;
          this.#shared.delete(key);
          entry.stop();
        });
      });
    };
    return { store, use };
  }

  noteTip(height: number): void {
    this.#tipAt = Date.now();
    if (height > this.tip.get()) this.tip.set(height);
  }

  async #lookAtTip(): Promise<void> {
    if (Date.now() - this.#tipAt < TIP_MS || globalThis.document?.hidden) return;
    try {
      const found = await this.fetch<{ tip: { blockHeight: number } }>("/api/streams?limit=1");
      if (found) this.noteTip(found.tip.blockHeight);
    } catch {
      // the next look will do
    }
  }

  // -- the socket

  #open(): void {
    const socket = (this.#options.connect ?? io)(this.url || undefined!, {
      path: "/socket.io",
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      reconnectionDelay: RETRY_MS,
      reconnectionDelayMax: RETRY_MAX_MS,
      randomizationFactor: 0.5,
      forceNew: true,
      autoConnect: false,
      auth: (give: (auth: object) => void) => {
        void this.token().then(
          (token) => give(this.#auth(token)),
          () => give(this.#auth(null)),
        );
      },
    });
    this.#socket = socket;
    socket.on("connect", () => this.#connected(socket));
    socket.on("disconnect", (reason) => {
      this.status.set(this.#downStatus());
      if (reason === "io server disconnect") this.#connectLater(socket);
    });
    socket.on("connect_error", (error) => {
      if (socket.active) return this.status.set(this.#downStatus());
      if (/TOKEN|UNAUTH/.test(error.message)) {
        this.#token = null; // refused: the public rooms do not need it
        this.address.set(null);
        this.status.set("auth-expired");
        socket.connect();
      } else {
        this.#connectLater(socket);
      }
    });
    socket.onAny((name: string, ...args: unknown[]) => this.#hear(name, args));
    globalThis.addEventListener?.("online", this.#online);
    globalThis.addEventListener?.("offline", this.#offline);
    globalThis.addEventListener?.("pagehide", this.#save);
    socket.connect();
  }

  #auth(token: string | null): object {
    this.#token = token;
    if (token) this.address.set(subjectOf(token));
    const since = this.#ahead ?? this.#cursor;
    return { ...(token && { token }), ...(since && { since }) };
  }

  #close(): void {
    clearTimeout(this.#retry);
    this.#save();
    globalThis.removeEventListener?.("online", this.#online);
    globalThis.removeEventListener?.("offline", this.#offline);
    globalThis.removeEventListener?.("pagehide", this.#save);
    const socket = this.#socket;
    this.#socket = null;
    socket?.offAny();
    socket?.removeAllListeners();
    socket?.disconnect();
    for (const wanted of this.#rooms.values()) {
      this.#wantAgain(wanted);
      wanted.held = [];
    }
    this.#leaving.clear();
    this.status.set("connecting");
  }

  #connected(socket: Socket): void {
    this.#tries = 0;
    this.#burstEnds = this.#cursor ? Date.now() + BURST_MS : 0;
    this.status.set(this.status.get() === "auth-expired" && !this.#token ? "auth-expired" : "live");
    if (socket.recovered) {
      for (const room of this.#leaving) this.#sendLeave(room);
    } else {
      this.#leaving.clear();
      for (const wanted of this.#rooms.values()) this.#wantAgain(wanted);
    }
    for (const [room, wanted] of this.#rooms) if (wanted.asked) this.#ask(room, wanted);
  }

  /** The library gives up where the server closed the connection by a packet; we do not. */
  #connectLater(socket: Socket): void {
    clearTimeout(this.#retry);
    const delay = Math.min(RETRY_MS * 2 ** this.#tries++, RETRY_MAX_MS) * (0.5 + Math.random());
    this.status.set(this.#downStatus());
    this.#retry = setTimeout(() => this.#socket === socket && socket.connect(), delay);
  }

  #downStatus(): Status {
    if (globalThis.navigator?.onLine === false) return "offline";
    return this.status.get() === "connecting" ? "connecting" : "reconnecting";
  }

  readonly #online = (): void => {
    const socket = this.#socket;
    if (!socket || socket.connected) return;
    socket.disconnect(); // ends the wait of the back-off; the session is kept
    this.status.set("reconnecting");
    socket.connect();
  };

  readonly #offline = (): void => this.status.set("offline");

  // -- rooms

  #ask(room: string, wanted: Room): void {
    const socket = this.#socket;
    const asked = wanted.asked;
    if (!socket?.connected || !asked) return;
    const [message, ...target] = spoken("join", room);
    socket.timeout(ANSWER_MS).emit(message, ...target, asked, (error: unknown, answer: JoinAnswer) => {
      if (this.#socket !== socket || this.#rooms.get(room) !== wanted || wanted.asked !== asked) return;
      if (error) {
        if (socket.connected) this.#ask(room, wanted);
        return; // else the next connect asks again
      }
      if (!answer.ok && ["UNAVAILABLE", "RATE_LIMITED"].includes(answer.error.code)) {
        setTimeout(() => wanted.asked === asked && this.#ask(room, wanted), RETRY_MS * (0.5 + Math.random()));
        return;
      }
      wanted.asked = null;
      if (answer.ok) wanted.from = answer.complete ? (wanted.from ?? asked.since ?? answer.cursor) : answer.cursor;
      wanted.held.sort((a, b) => (isAfter(a.offset, b.offset) ? 1 : -1));
      for (const it of wanted.held.splice(0)) this.#emission(it, true);
      for (const resolve of wanted.waiting.splice(0)) resolve(answer);
      if (answer.ok) {
        this.#reach(answer.cursor);
        if (!answer.complete) this.#askAgain(room);
      }
      this.#catchUp();
    });
  }

  /** The cursor may wait for another room's join; what this room was told is told up to `ahead`. */
  #wantAgain(wanted: Room): void {
    if (!wanted.asked?.since) wanted.asked = { since: this.#ahead ?? this.#cursor ?? undefined };
  }

  #sendLeave(room: string): void {
    const socket = this.#socket;
    if (!socket?.connected) return;
    if (room.startsWith("user:")) return void this.#leaving.delete(room); // the server's to give and to take
    const [message, ...target] = spoken("leave", room);
    socket.timeout(ANSWER_MS).emit(message, ...target, (error: unknown) => {
      if (!error) this.#leaving.delete(room);
    });
  }

  #askAgain(room: string | null): void {
    for (const listener of [...this.#resync]) guarded(() => listener(room));
  }

  // -- what arrives

  #hear(name: string, args: unknown[]): void {
    if (name === "system:resync") {
      (args[0] as { rooms: string[] }).rooms.forEach((room) => this.#askAgain(room));
    } else if (name === "system:auth-expired") {
      this.#userSince = this.#cursor;
      this.#token = null;
      this.status.set("auth-expired");
    }
    const cursor = readCursor(args.at(-1));
    if (!cursor) return;
    if (this.#epoch !== null && this.#epoch !== cursor.epoch) {
      this.#seen.clear();
      this.#cursor = this.#ahead = null;
      for (const wanted of this.#rooms.values()) wanted.held = [];
      this.#askAgain(null);
    }
    this.#epoch = cursor.epoch;
    const emission = args[0] as Emissions[EmissionName];
    const offset = readOffset(emission?.meta?.offset);
    if (offset) {
      const spoken = { name: name as EmissionName, emission, offset };
      const wanted = this.#rooms.get(emission.meta.room);
      if (wanted?.asked) wanted.held.push(spoken);
      else this.#emission(spoken, Date.now() < this.#burstEnds);
    }
    this.#reach(args.at(-1) as string);
  }

  #emission({ name, emission, offset }: Spoken, replayed: boolean): void {
    const room = emission.meta.room;
    const last = this.#seen.get(room);
    if (last && !isAfter(offset, last)) return;
    this.#seen.set(room, offset);
    const facts = emission.data as { blockHeight?: number };
    if (emission.meta.op === "apply" && facts.blockHeight) this.noteTip(facts.blockHeight);
    if (room.startsWith("user:")) this.address.set(room.slice(5));
    const heard = { name, replayed };
    for (const key of [name, "*"]) {
      for (const listener of [...(this.#listeners.get(key) ?? [])]) guarded(() => listener(emission, heard));
    }
  }

  /** Moves the cursor, unless a join waits: should the page go now, that room's past is still to come. */
  #reach(cursor: string): void {
    const reached = readCursor(cursor);
    const held = readCursor(this.#ahead ?? this.#cursor);
    if (!reached || (held && held.epoch === reached.epoch && !isAfter(reached.offset, held.offset))) return;
    this.#ahead = cursor;
    this.#catchUp();
  }

  #catchUp(): void {
    if (!this.#ahead || [...this.#rooms.values()].some((it) => it.asked)) return;
    this.#cursor = this.#ahead;
    this.#ahead = null;
    this.#saving ??= setTimeout(this.#save, SAVE_MS);
  }

  // -- what outlives a reload

  get #key(): string {
    return `bitpay-realtime:${this.url}`;
  }

  readonly #save = (): void => {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    const cursor = this.#cursor;
    if (cursor) this.#storage((it) => it.setItem(this.#key, cursor));
  };

  #storage<T>(use: (storage: Pick<Storage, "getItem" | "setItem" | "removeItem">) => T): T | undefined {
    try {
      const storage = this.#options.storage === undefined ? globalThis.sessionStorage : this.#options.storage;
      return storage ? use(storage) : undefined;
    } catch {
      return undefined; // blocked or full: a reload then begins at the present
    }
  }
}

function refused(room: string, code: string, message: string): JoinAnswer {
  return { ok: false, room, error: { code, message } };
}

/** The message that joins or leaves a room, and its target. */
function spoken(verb: "join" | "leave", room: string): [string, ...string[]] {
  if (room.startsWith("stream:")) return [`${verb}-stream-room`, room.slice(7)];
  if (room.startsWith("user:")) return [`${verb}-user-room`, room.slice(5)];
  return [`${verb}-${room}`];
}

/** Whose token this is, as far as it says so; only the server can tell whether it is true. */
function subjectOf(token: string): string | null {
  try {
    const claims = token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
    const { sub } = JSON.parse(atob(claims)) as { sub?: unknown };
    return typeof sub === "string" ? sub : null;
  } catch {
    return null;
  }
}

function once(call: () => void): Stop {
  let done = false;
  return () => {
    if (!done) call();
    done = true;
  };
}
