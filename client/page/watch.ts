/**
 * What the page has seen: entries, blocks, arrival times, and the count of what it heard. Changes are gathered and shown
 * a few times a second, so that hundreds of events cost no more paintings than eyes can follow.
 */
import { Store, type EmissionName, type Emissions, type Heard, type Realtime, type Stop } from "@bitpay/realtime";
import { sentence } from "./words.js";

type Emission = Emissions[EmissionName];

/** The emissions of one entry of the outbox: one event, rollback or broadcast. */
export interface Row {
  seq: number;
  id: string;
  op: string;
  names: string[];
  words: string;
  corrected: string | null;
  block: number | null;
  reapplied: boolean;
  retracted: boolean;
  missed: boolean;
  at: number;
  /** It came slowly enough to be greeted: hundreds a second that all fade in cost more than they say. */
  isGreeted: boolean;
}

export interface BlockSeen {
  height: number;
  hash: string;
  events: number;
  isOff: boolean;
  isGreeted: boolean;
}

export interface Seen {
  rows: readonly Row[];
  blocks: readonly BlockSeen[];
  heard: number;
  duplicated: number;
  retracted: number;
}

const ROWS = 120;
const BLOCKS = 60;
const KEYS = 20_000;
const AHEAD = 5;
const SHOW_MS = 200;
/** So many new rows or blocks at once are still greeted. */
const GREETED = 4;
export const SHARED_ROOMS = ["marketplace", "treasury", "access-control"];
/** Names that tell what is true now; the sentence is taken from those that tell what happened. */
const STATES = new Set<string>(["stream:updated", "treasury:balance-updated"]);

/** How long a change waits: not at all after a pause, else for the next beat, which is one for the whole page. */
export function untilShown(shownAt: number): number {
  const now = Date.now();
  return now - shownAt > SHOW_MS ? 0 : SHOW_MS - (now % SHOW_MS);
}

export class Watch extends Store<Seen> {
  /** When the first emission of an entry was heard live, unix ms. */
  readonly arrivals = new Map<number, number>();
  /** Every emission that was heard, as `room offset`. */
  readonly keys = new Set<string>();
  readonly rooms = new Map<string, string>();
  readonly streams = new Store<readonly number[]>([]);
  #rows: Row[] = [];
  #blocks = new Map<string, BlockSeen>();
  #heard = 0;
  #duplicated = 0;
  #retracted = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #shownAt = 0;
  #newest = -1;
  /** Where this page was before it was loaded anew. Rooms that are found later resume from there, not from where the
   * cursor is by then: the rooms that were joined first move it on. */
  #since: string | undefined;
  #newRows: Row[] = [];
  #newBlocks: string[] = [];

  constructor(readonly realtime: Realtime) {
    super({ rows: [], blocks: [], heard: 0, duplicated: 0, retracted: 0 });
  }

  start(): Stop {
    this.#since = this.realtime.cursor ?? undefined;
    const ends = [this.realtime.retain(), this.realtime.subscribe("*", (emission, heard) => this.#hear(emission, heard))];
    for (const room of SHARED_ROOMS) this.#join(room);
    void this.#findStreams();
    return () => ends.forEach((end) => end());
  }

  async #findStreams(): Promise<void> {
    try {
      const found = await this.realtime.fetch<{ data: { streamId: string }[] }>("/api/streams?limit=16");
      const ids = found?.data.map((it) => Number(it.streamId)) ?? [];
      for (const id of ids) this.#join(`stream:${id}`);
      this.streams.set(ids);
      this.#expect(ids[0] ?? 0);
    } catch {
      setTimeout(() => void this.#findStreams(), 2_000);
    }
  }

  /** Whether every room that is wanted so far was let in. */
  get isSettled(): boolean {
    return this.#newest >= 0 && [...this.rooms.values()].every((cursor) => cursor !== "");
  }

  /** Joins the rooms of streams that do not exist yet: whoever is there hears them being created. */
  #expect(newest: number): void {
    this.#newest = Math.max(newest, this.#newest);
    for (let id = this.#newest + 1; id <= this.#newest + AHEAD; id++) this.#join(`stream:${id}`);
  }

  #join(room: string): void {
    if (this.rooms.has(room)) return;
    this.rooms.set(room, "");
    void this.realtime.join(room, this.#since).then((answer) => {
      if (answer.ok) this.rooms.set(room, answer.cursor);
      if (!this.isSettled) return;
      this.#since = undefined;
      document.getElementById("root")!.dataset.ready = "";
    });
  }

  #hear(emission: Emission, { name, replayed }: Heard): void {
    const { meta, type } = emission;
    if (meta.room.startsWith("user:")) return;
    const key = `${meta.room} ${meta.offset}`;
    if (this.keys.has(key)) this.#duplicated++;
    this.#remember(key);
    this.#heard++;
    const data = emission.data as unknown as Record<string, unknown> & { blockHeight?: number; blockHash?: string };
    const seq = Number(meta.offset.split("-")[0]);
    if (!replayed && !this.arrivals.has(seq)) this.#arrive(seq);
    this.#block(name, meta.op, data);
    const words = sentence(name, type, data);
    const known = this.#rows.find((it) => it.seq === seq);
    const isState = STATES.has(name);
    if (known) {
      known.names.push(name);
      if (isState && meta.op === "rollback") known.corrected = words;
      else if (!isState && STATES.has(known.names[0]!)) known.words = words;
    } else {
      const row: Row = {
        seq,
        id: meta.id,
        op: meta.op,
        names: [name],
        words,
        corrected: isState && meta.op === "rollback" ? words : null,
        block: data.blockHeight ?? null,
        reapplied: meta.reapplied,
        retracted: false,
        missed: replayed,
        at: Date.now(),
        isGreeted: true,
      };
      const place = this.#rows.findIndex((it) => it.seq < seq);
      this.#rows.splice(place < 0 ? this.#rows.length : place, 0, row);
      this.#rows.length = Math.min(this.#rows.length, ROWS);
      this.#newRows.push(row);
    }
    if (name === "chain:reverted") this.#retract(seq, meta.id);
    if (name === "stream:updated" && type === "created") this.#created(Number(data.streamId));
    this.#show();
  }

  #retract(seq: number, id: string): void {
    let found = false;
    for (const row of this.#rows) {
      if (row.id !== id || row.op !== "apply" || row.seq >= seq || row.retracted) continue;
      row.retracted = found = true;
    }
    if (found) this.#retracted++;
  }

  #created(id: number): void {
    const ids = this.streams.get();
    if (!ids.includes(id)) this.streams.set([id, ...ids].sort((a, b) => b - a).slice(0, 16));
    this.#expect(id);
  }

  #block(name: string, op: string, { blockHash: hash, blockHeight: height }: { blockHash?: string; blockHeight?: number }): void {
    if (!hash || !height) return;
    const known = this.#blocks.get(hash) ?? { height, hash, events: 0, isOff: false, isGreeted: true };
    if (!this.#blocks.has(hash)) this.#newBlocks.push(hash);
    if (op === "apply") this.#blocks.set(hash, { ...known, events: known.events + 1, isOff: false });
    else if (name === "chain:reverted") this.#blocks.set(hash, { ...known, isOff: true });
    if (this.#blocks.size > BLOCKS) {
      const lowest = [...this.#blocks.values()].reduce((a, b) => (b.height < a.height ? b : a));
      this.#blocks.delete(lowest.hash);
    }
  }

  #arrive(seq: number): void {
    this.arrivals.set(seq, performance.timeOrigin + performance.now());
    if (this.arrivals.size > 500) this.arrivals.delete(this.arrivals.keys().next().value!);
  }

  #remember(key: string): void {
    this.keys.add(key);
    if (this.keys.size > KEYS) this.keys.delete(this.keys.values().next().value!);
  }

  /** Greets what is new, unless it is so much that nobody could follow. */
  #greet(): void {
    if (this.#newRows.length > GREETED) for (const row of this.#newRows) row.isGreeted = false;
    if (this.#newBlocks.length > GREETED) {
      for (const hash of this.#newBlocks) {
        const block = this.#blocks.get(hash);
        if (block) this.#blocks.set(hash, { ...block, isGreeted: false });
      }
    }
    this.#newRows = [];
    this.#newBlocks = [];
  }

  #show(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#shownAt = Date.now();
      this.#greet();
      const blocks = [...this.#blocks.values()].sort((a, b) => a.height - b.height);
      this.set({
        rows: this.#rows.map((it) => ({ ...it })),
        blocks,
        heard: this.#heard,
        duplicated: this.#duplicated,
        retracted: this.#retracted,
      });
    }, untilShown(this.#shownAt));
  }
}
