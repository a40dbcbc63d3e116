/** What the node tells of itself and its neighbours, and from it how long entries were on their way. */
import { Store, type Stop } from "@bitpay/realtime";
import type { Watch } from "./watch.js";

export interface NodeLine {
  node: string;
  seq: number;
  lag: number;
  connections: number;
}

export interface Trip {
  seq: number;
  /** In ms: from ingest to the feed, to the node, to this page. */
  hops: readonly [number, number, number];
}

export interface Status {
  node: string | null;
  nodes: readonly NodeLine[];
  trips: readonly Trip[];
  control: string | null;
}

interface Told {
  node: string;
  now: number;
  nodes: NodeLine[];
  entries: [number, number, number, number][];
  control: string | null;
}

const EVERY_MS = 2_000;
const TRIPS = 200;

export class StatusBoard extends Store<Status> {
  /** By how much this machine's clock is behind the node's, by the quickest answer so far. */
  #behind = 0;
  #quickest = Infinity;
  readonly #trips = new Map<number, Trip>();

  constructor(readonly watched: Watch) {
    super({ node: null, nodes: [], trips: [], control: null });
  }

  start(): Stop {
    let timer = setTimeout(() => {});
    const again = async (): Promise<void> => {
      if (!document.hidden) await this.#look().catch(() => {});
      timer = setTimeout(() => void again(), EVERY_MS);
    };
    void again();
    return () => clearTimeout(timer);
  }

  async #look(): Promise<void> {
    const began = performance.now();
    const told = await this.watched.realtime.fetch<Told>("/page/status.json", { cache: "no-store" });
    if (!told) return;
    const took = performance.now() - began;
    if (took < this.#quickest) {
      this.#quickest = took;
      this.#behind = told.now / 1000 - (performance.timeOrigin + began + took / 2);
    }
    for (const [seq, at, relayed, read] of told.entries) {
      const arrived = this.watched.arrivals.get(seq);
      if (arrived === undefined || !relayed || this.#trips.has(seq)) continue;
      const hops = [(relayed - at) / 1000, (read - relayed) / 1000, arrived + this.#behind - read / 1000] as const;
      this.#trips.set(seq, { seq, hops: [Math.max(0, hops[0]), Math.max(0, hops[1]), Math.max(0, hops[2])] });
      if (this.#trips.size > TRIPS) this.#trips.delete(this.#trips.keys().next().value!);
    }
    const { node, nodes, control } = told;
    this.set({ node, nodes, control, trips: [...this.#trips.values()] });
  }
}
