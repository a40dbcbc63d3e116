/**
 * The laws of the client, each for one course of events. Whatever is lost, doubled, delayed or taken back on the way:
 * what is shown in the end is what the server has, what is shown meanwhile was true and never goes back, no emission is
 * heard twice or out of order, and the cursor passes nothing that was not heard.
 */
import { afterEach, beforeEach, expect, vi } from "vitest";
import type { EmissionName, Emissions } from "../src/catalogue.js";
import { Realtime } from "../src/connection.js";
import { EMPTY_MARKET, EMPTY_TREASURY, foldMarket, foldTreasury, foldUserEvents, type KeptEvent } from "../src/folds.js";
import { Folded, Snapshot } from "../src/live.js";
import { marketplaceSource, streamSource, treasurySource } from "../src/sources.js";
import type { Stop } from "../src/store.js";
import { isOpen, OWNER, type Deed, type World } from "./chain.js";
import { marketSnapshot, Server, streamSnapshot, treasurySnapshot } from "./server.js";

/** What happens on the chain, in the network and at the server. */
export type Step =
  | Deed
  | { do: "lose" | "connect" | "restore" }
  | { do: "revert" | "wait" | "joins" | "stores" | "wire" | "latency" | "rewinds" | "behind"; by: number }
  | { do: "forgetsSessions" | "forgetsOutbox" | "isTwofold"; be: boolean };

/** What a page shows and hides; `join` is another part of it, which wants a room and no snapshot. */
export type Visit = { do: "show" | "hide"; what: View } | { do: "join" | "leave"; what: string };
/** What becomes of a page. */
export type Turn = { do: "join" | "leave"; what: string } | { do: "reload"; crashes: boolean };

/** Before and after each: clocks that tests turn. */
export function prepared(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    // the poll would heal in half a minute what the protocol must have healed at once
    vi.spyOn(globalThis, "setInterval").mockReturnValue(0 as unknown as ReturnType<typeof setInterval>);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });
}

async function make(server: Server, it: Step): Promise<void> {
  switch (it.do) {
    case "revert":
      return server.revert(it.by);
    case "restore":
      return server.restore();
    case "lose":
      return server.lose();
    case "connect":
      return server.letIn();
    case "wait":
      return void (await vi.advanceTimersByTimeAsync(it.by));
    case "joins":
    case "stores":
    case "wire":
    case "rewinds":
    case "behind":
    case "latency":
      server[it.do] = it.by;
      return;
    case "forgetsSessions":
    case "isTwofold":
    case "forgetsOutbox":
      server[it.do] = it.be;
      return;
    default:
      server.mine(it);
  }
}

/** Everything heard of a room, for as long as it is kept: once, and in order. */
class Ears {
  readonly heard = new Map<string, string[]>();

  constructor(readonly realtime: Realtime) {
    realtime.subscribe("*", ({ meta }: Emissions[EmissionName]) => {
      this.heard.set(meta.room, [...(this.heard.get(meta.room) ?? []), meta.offset]);
    });
    const leave = realtime.leave.bind(realtime);
    realtime.leave = (room) => {
      this.check();
      leave(room);
      if (realtime.seen(room) === null) this.heard.delete(room);
    };
  }

  check(): void {
    const place = (it: string): number => it.split("-").reduce((sum, part) => sum * 1000 + Number(part), 0);
    for (const offsets of this.heard.values()) {
      expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => place(a) - place(b)));
    }
  }
}

/** Whether values that were shown are a server's values in their order, some of them left out. */
function neverGoesBack(shown: readonly unknown[], truth: readonly unknown[]): void {
  const text = truth.map((it) => JSON.stringify(it));
  let at = 0;
  for (const it of shown) {
    const found = text.indexOf(JSON.stringify(it), at);
    expect(found, `${JSON.stringify(it)} after ${text[at]}, of ${text.join(" ")}`).toBeGreaterThanOrEqual(0);
    at = found;
  }
}

/** What a page may show, what of it is shown at once, and what the server has of both. */
const VIEWS = {
  stream: {
    open: (realtime: Realtime) => new Snapshot<unknown>(realtime, streamSource(realtime, "1") as never),
    truth: (world: World): unknown => streamSnapshot(world, "1"),
    part: (data: unknown): unknown => (data as { stream: unknown } | null)?.stream ?? null,
  },
  market: {
    open: (realtime: Realtime) => new Snapshot<unknown>(realtime, marketplaceSource(realtime) as never),
    truth: (world: World): unknown => marketSnapshot(world),
    part: (data: unknown): unknown => (data as { market: unknown }).market,
  },
  treasury: {
    open: (realtime: Realtime) => new Snapshot<unknown>(realtime, treasurySource(realtime) as never),
    truth: (world: World): unknown => treasurySnapshot(world),
    part: (data: unknown): unknown => (data as { treasury: { balance: unknown } }).treasury.balance,
  },
};
export type View = keyof typeof VIEWS;
export const NAMES = Object.keys(VIEWS) as View[];

/** What is shown in the end is what the server has, and nothing shown goes back. */
export async function isShown(all: readonly (Step | Visit)[]): Promise<void> {
  const server = new Server();
  const realtime = new Realtime({ storage: null, connect: server.connect });
  vi.stubGlobal("fetch", server.fetch);
  const ears = new Ears(realtime);
  const ends = [realtime.retain()];
  const shown = new Map<View, { store: Snapshot<unknown>; stop: Stop; parts: unknown[] }>();
  const joined = new Set<string>();
  const show = (what: View): void => {
    if (shown.has(what)) return;
    const store = VIEWS[what].open(realtime);
    const parts: unknown[] = [];
    store.watch(() => {
      const { data, isLoading } = store.get();
      if (!isLoading && (data !== null || what === "stream")) parts.push(VIEWS[what].part(data));
    });
    shown.set(what, { store, stop: store.start(), parts });
  };
  const hide = (what: View): void => {
    const it = shown.get(what);
    if (!it) return;
    neverGoesBack(it.parts, server.past.map(({ world }) => VIEWS[what].part(VIEWS[what].truth(world))));
    it.stop();
    shown.delete(what);
  };
  for (const it of all) {
    if (!("what" in it)) await make(server, it);
    else if (it.do === "show") show(it.what);
    else if (it.do === "hide") hide(it.what);
    else if (it.do === "leave") joined.delete(it.what) && realtime.leave(it.what);
    else if (!joined.has(it.what)) {
      joined.add(it.what);
      void realtime.join(it.what);
    }
  }
  server.behind = 0;
  NAMES.forEach(show);
  server.letIn();
  await vi.advanceTimersByTimeAsync(10_000);
  for (const what of NAMES) expect(shown.get(what)!.store.get().data, what).toEqual(VIEWS[what].truth(server.world));
  NAMES.forEach(hide);
  joined.forEach((room) => realtime.leave(room));
  ears.check();
  ends.forEach((end) => end());
  await vi.advanceTimersByTimeAsync(2_000);
  expect(server.sockets.every((socket) => !socket.connected)).toBe(true);
}

/** The events of a user by the rules of the spec, from everything that was said. */
function userEventsOf(server: Server): Pick<KeptEvent, "name" | "reverted" | "meta">[] {
  const said = server.log.filter((it) => it.room === `user:${OWNER}`);
  const key = (it: (typeof said)[number]): string => `${it.payload.meta.id} ${it.payload.meta.op} ${it.name}`;
  return said
    .map((it, at) => ({ it, at }))
    .filter(({ it, at }) => it.name !== "chain:reverted" && !said.slice(at + 1).some((later) => key(later) === key(it)))
    .map(({ it, at }) => ({
      name: it.name as EmissionName,
      meta: it.payload.meta as KeptEvent["meta"],
      reverted:
        it.payload.meta.op === "apply" &&
        said.slice(at + 1).some((later) => later.name === "chain:reverted" && later.payload.meta.id === it.payload.meta.id),
    }))
    .reverse()
    .slice(0, 50);
}

/** What hooks collect of events is what the server has of them. */
export async function isCollected(all: readonly Step[]): Promise<void> {
  const server = new Server();
  const realtime = new Realtime({ storage: null, connect: server.connect });
  const ears = new Ears(realtime);
  const market = new Folded(realtime, "marketplace", EMPTY_MARKET, (known, it, { name }) => foldMarket(known, name, it));
  const treasury = new Folded(realtime, "treasury", EMPTY_TREASURY, (known, it, { name }) => foldTreasury(known, name, it));
  const user = new Folded<KeptEvent[]>(realtime, (it) => it.startsWith("user:"), [], (known, it, { name }) =>
    foldUserEvents(known, name, it),
  );
  const ends = [market.start(), treasury.start(), user.start()];
  await vi.advanceTimersByTimeAsync(50);
  for (const it of all) await make(server, it);
  server.letIn();
  await vi.advanceTimersByTimeAsync(10_000);
  const { world } = server;
  const wanted = Object.values(world.listings).filter(isOpen);
  const listings = [...market.get().listings].sort((a, b) => Number(a.streamId) - Number(b.streamId));
  expect(listings.map(({ streamId, price, status }) => ({ streamId, price, status }))).toEqual(
    wanted.map(({ streamId, price, status }) => ({ streamId, price, status })),
  );
  expect(market.get().sales.map((it) => it.saleId)).toEqual(world.sales.map((it) => it.saleId));
  const told = treasury.get();
  const proposals = told.proposals.map((it) => ({ ready: true, ...it }));
  expect(proposals.sort((a, b) => Number(a.id) - Number(b.id))).toMatchObject(
    Object.values(world.proposals).map(({ proposalId, approvalCount, executed, required }) => {
      return { id: proposalId, approvalCount, executed, ...(Number(approvalCount) < Number(required) ? { } : { ready: true }) };
    }),
  );
  expect(told.admins.filter((it) => it.isActive && it.address !== "D").map((it) => it.address).sort()).toEqual(
    world.admins.filter((it) => it !== "D").sort(),
  );
  expect(told.feeCollections.map((it) => it.newBalance)).toEqual(world.fees.map((it) => it.newBalance));
  expect(told.balanceUpdate?.newBalance ?? "0").toBe(String(world.balance));
  expect(user.get().map(({ name, reverted, meta }) => ({ name, reverted, meta }))).toEqual(userEventsOf(server));
  ears.check();
  ends.forEach((end) => end());
  await vi.advanceTimersByTimeAsync(2_000);
}

/** The cursor passes nothing that was not heard, over reloads and crashes. */
export async function isPassed(all: readonly (Step | Turn)[]): Promise<void> {
  const server = new Server();
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  const heard = new Set<string>();
  /** By room that is wanted: from which place of the log on it is owed. Null: from the answer on. */
  const owed = new Map<string, number | null>();
  let realtime: Realtime;
  let stop: Stop;
  const join = (room: string): void => {
    const { cursor } = realtime;
    const from = owed.get(room) ?? (cursor === null ? null : server.saidBefore(cursor));
    owed.set(room, from);
    void realtime.join(room).then((answer) => {
      if (answer.ok && owed.get(room) === null) owed.set(room, server.saidBefore(answer.cursor));
    });
  };
  const open = (): void => {
    realtime = new Realtime({ storage, connect: server.connect });
    realtime.subscribe("*", ({ meta }: Emissions[EmissionName]) => void heard.add(`${meta.room} ${meta.offset}`));
    stop = realtime.retain();
    for (const room of owed.keys()) join(room);
  };
  const check = (until: number): void => {
    server.log.slice(0, until).forEach(({ room, offset }, at) => {
      if (at >= (owed.get(room) ?? Infinity)) expect(heard).toContain(`${room} ${offset}`);
    });
  };
  open();
  for (const it of all) {
    if ("what" in it) {
      if (it.do === "leave") owed.delete(it.what) && realtime!.leave(it.what);
      else if (!owed.has(it.what)) join(it.what);
    } else if ("crashes" in it) {
      // a page that crashes has not stored its last cursor; one that leaves stores it where it goes
      const before = new Map(kept);
      server.sockets.forEach((socket) => socket.disconnect());
      stop!();
      await vi.advanceTimersByTimeAsync(1_000);
      if (it.crashes) {
        kept.clear();
        before.forEach((value, key) => kept.set(key, value));
      }
      // where nothing is stored yet a page begins at the present
      if (kept.size === 0) for (const room of owed.keys()) owed.set(room, null);
      open();
    } else {
      await make(server, it);
    }
    const { cursor } = realtime!;
    if (cursor !== null) check(server.saidBefore(cursor));
  }
  server.letIn();
  await vi.advanceTimersByTimeAsync(10_000);
  check(server.log.length);
  stop!();
  await vi.advanceTimersByTimeAsync(2_000);
}
