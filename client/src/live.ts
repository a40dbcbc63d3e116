/** Stores that hooks share: lists that grow with what is heard, and snapshots that stay current. */
import type { EmissionName, Emissions } from "./catalogue.js";
import { isAfter, isLater, readCursor, readOffset, type Cursor } from "./cursor.js";
import type { Heard, Realtime } from "./connection.js";
import { Store, type Stop } from "./store.js";

type AnyEmission = Emissions[EmissionName];

/** A value folded from the emissions of one room, from nothing. */
export class Folded<T> extends Store<T> {
  constructor(
    readonly realtime: Realtime,
    readonly room: string | ((room: string) => boolean),
    readonly empty: T,
    readonly fold: (known: T, emission: AnyEmission, heard: Heard) => T,
  ) {
    super(empty);
  }

  start(): Stop {
    const { room } = this;
    const ours = typeof room === "string" ? (it: string) => it === room : room;
    const ends = [
      this.realtime.retain(),
      this.realtime.subscribe("*", (emission, heard) => {
        if (ours(emission.meta.room)) this.set(this.fold(this.get(), emission, heard));
      }),
    ];
    if (typeof room === "string") {
      void this.realtime.join(room);
      ends.push(() => this.realtime.leave(room));
    }
    return () => ends.forEach((end) => end());
  }
}

/** A snapshot, kept current; `isStale` while the connection is away or the snapshot is on its way. */
export interface Live<T> {
  data: T | null;
  isLoading: boolean;
  isStale: boolean;
  error: Error | null;
}

/** What GET of a snapshot answers, as far as it matters here. */
export interface Answer {
  asOf: string;
  tip: { blockHeight: number };
}

export interface Source<T> {
  /** The first one is the room of the thing itself. */
  rooms: readonly string[];
  /** Reads the whole value; several requests use the oldest `asOf`. */
  read(): Promise<{ asOf: string; tip?: { blockHeight: number }; data: T | null } | null>;
  /** The value after an emission; `refetch` where an emission does not tell all of what it changed. */
  fold(known: T, emission: AnyEmission, heard: Heard): T | "refetch";
}

const RETRY_MS = 2_000;
const POLL_MS = 15_000;
const SOON_MS = 150;

/**
 * A snapshot and what came after it, at one cursor.
 *
 * What is heard while the snapshot is on its way waits, and of that only what is newer than it counts. A room that was
 * not joined yet is joined from the snapshot on, so nothing falls between.
 */
export class Snapshot<T> extends Store<Live<T>> {
  #at: Cursor | null = null;
  #waiting: [AnyEmission, Heard][] | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #poll: ReturnType<typeof setInterval> | undefined;
  #run = 0;
  #joined: string[] = [];
  #loading = 0; // the run whose snapshot is on its way
  #due = false; // another one is wanted after it

  constructor(
    readonly realtime: Realtime,
    readonly source: Source<T>,
  ) {
    super({ data: null, isLoading: true, isStale: true, error: null });
  }

  start(): Stop {
    const { realtime, source } = this;
    const run = ++this.#run;
    const joined: string[] = [];
    const ends = [
      realtime.retain(),
      realtime.subscribe("*", (emission, heard) => {
        if (source.rooms.includes(emission.meta.room)) this.#hear(emission, heard);
      }),
      realtime.onResync((room) => {
        if (room === null || source.rooms.includes(room)) this.#refetch(0);
      }),
      realtime.status.watch(() => this.#stale()),
    ];
    void this.#load(run, joined);
    // while not live nothing is heard, but HTTP may still be answered
    this.#poll = setInterval(() => realtime.isConnected || this.#refetch(0), POLL_MS);
    return () => {
      this.#run++;
      clearTimeout(this.#timer);
      clearInterval(this.#poll);
      ends.forEach((end) => end());
      joined.forEach((room) => realtime.leave(room));
    };
  }

  async #load(run: number, joined: string[]): Promise<void> {
    const { realtime, source } = this;
    if (this.#loading === run) {
      this.#due = true; // two at once would arrive in any order, and the older one could win
      return;
    }
    this.#loading = run;
    this.#due = false;
    this.#waiting = [];
    try {
      const seen = source.rooms.map((room) => realtime.seen(room));
      const found = await source.read();
      if (run !== this.#run) return;
      const at = readCursor(found?.asOf);
      // a node behind the one that we hear: its snapshot misses what was said before it and is not told again
      if (at && seen.some((it) => it && isAfter(it, at.offset))) return this.#refetch(SOON_MS);
      const misses = (room: string): boolean => isLater(realtime.heardFrom(room), found?.asOf);
      if (source.rooms.some(misses)) return this.#refetch(SOON_MS);
      if (found?.tip) realtime.noteTip(found.tip.blockHeight);
      let data: T | null = found ? found.data : null;
      this.#at = at;
      const waiting = this.#waiting ?? [];
      if (data === null && waiting.some(([it]) => this.#begins(it))) return this.#refetch(SOON_MS); // it was not, but is
      this.#waiting = null;
      let again = false;
      for (const [emission, heard] of waiting) {
        if (data === null || !this.#isNews(emission)) continue;
        const next = source.fold(data, emission, heard);
        if (next === "refetch") again = true;
        else data = next as T;
      }
      this.set({ data, isLoading: false, isStale: !realtime.isConnected, error: null });
      for (const room of source.rooms) {
        if (joined.includes(room)) continue;
        joined.push(room);
        void realtime.join(room, found?.asOf).then(() => {
          if (run !== this.#run) return;
          if (misses(room)) this.#refetch(0); // somebody else had asked for it, from a later place on
          this.#stale();
        });
      }
      if (again) this.#refetch(SOON_MS);
    } catch (error) {
      if (run !== this.#run) return;
      // fetch, JSON and we throw nothing but Errors
      this.set({ ...this.get(), isLoading: false, isStale: true, error: error as Error });
      this.#refetch(RETRY_MS * (0.5 + Math.random()));
    } finally {
      if (run === this.#run) {
        this.#joined = joined;
        this.#loading = 0;
        if (this.#due) this.#refetch(0);
      }
    }
  }

  /** Changes the value by what this page has done itself and nobody tells it. */
  change(edit: (data: T) => T): void {
    const live = this.get();
    if (this.#loading) this.#due = true; // what is on its way may be older than the change
    if (live.data !== null) this.set({ ...live, data: edit(live.data) });
  }

  #hear(emission: AnyEmission, heard: Heard): void {
    this.#waiting?.push([emission, heard]);
    const { data } = this.get();
    if (data === null) {
      if (!this.#waiting && this.#begins(emission)) this.#refetch(SOON_MS);
      return;
    }
    if (!this.#isNews(emission)) return;
    const next = this.source.fold(data, emission, heard);
    if (next === "refetch") this.#refetch(SOON_MS);
    else this.set({ ...this.get(), data: next as T });
  }

  /** What does not exist may do now: its own room says so. */
  #begins(emission: AnyEmission): boolean {
    return emission.meta.room === this.source.rooms[0] && this.#isNews(emission);
  }

  #isNews(emission: AnyEmission): boolean {
    return !this.#at || isAfter(readOffset(emission.meta.offset)!, this.#at.offset);
  }

  /** Fetches once for many reasons. */
  #refetch(after: number): void {
    const run = this.#run;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => run === this.#run && void this.#load(run, this.#joined), after);
  }

  #stale(): void {
    const live = this.get();
    if (!live.isLoading) this.set({ ...live, isStale: !this.realtime.isConnected || live.error !== null });
  }
}
