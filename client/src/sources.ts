/** The snapshots behind the state hooks: where they are read, and what an emission makes of them. */
import type {
  EmissionName,
  Emissions,
  FeeTold,
  ListingNow,
  ListingView,
  MarketView,
  NftView,
  ObligationNow,
  Page,
  ProposalNow,
  PurchaseNow,
  SaleTold,
  Snapshot as Told,
  StreamView,
  TreasuryView,
} from "./catalogue.js";
import type { Realtime } from "./connection.js";
import { isAfter, readCursor } from "./cursor.js";
import type { Source } from "./live.js";

/** What is known of one stream; null where there is none. */
export interface LiveStream {
  stream: StreamView;
  nfts: { obligation: ObligationNow; recipient: NftView } | null;
  listing: ListingNow | null;
  purchase: PurchaseNow | null;
}

/** One stream with its NFTs, its listing and an open checkout. Its room tells the stream; the rest is read again. */
export function streamSource(realtime: Realtime, id: string): Source<LiveStream> {
  return {
    rooms: [`stream:${id}`, "marketplace"],
    read: () => realtime.lookUp<Told<LiveStream>>(`/api/streams/${encodeURIComponent(id)}`),
    fold: (known, emission, { name }) => {
      const data = emission.data as { streamId?: string | null };
      if (data.streamId !== id) return known;
      if (name !== "stream:updated") return name.startsWith("stream:") ? known : "refetch";
      const { txHash, blockHeight, blockHash, timestamp, ...view } = (emission as Emissions["stream:updated"]).data;
      return view.status === "reverted" ? "refetch" : { ...known, stream: view as StreamView };
    },
  };
}

export type LiveListing = ListingView & { purchasable?: boolean };

export interface LiveMarketplace {
  market: MarketView;
  listings: ListingNow[];
  sales: SaleTold[];
}

/** All open listings, the newest sales and the totals. */
export function marketplaceSource(realtime: Realtime): Source<LiveMarketplace> {
  return {
    rooms: ["marketplace"],
    read: async () => {
      const market = await realtime.fetch<Told<MarketView>>("/api/marketplace");
      if (!market) return null;
      const listings = await all<ListingNow>(realtime, "/api/marketplace/listings");
      const sales = await realtime.fetch<Page<SaleTold>>("/api/marketplace/sales?limit=50");
      const data = { market: market.data, listings: listings.rows, sales: sales?.data ?? [] };
      return { ...market, asOf: oldest([market.asOf, ...listings.asOf, sales?.asOf]), data };
    },
    fold: (known, emission, { name }) => {
      // what leaves the market is gone at once; what comes or changes is read, for the tip decides what can be bought
      if (name !== "marketplace:listing-cancelled") return "refetch";
      const { streamId } = emission.data as ListingView;
      return { ...known, listings: known.listings.filter((it) => it.streamId !== streamId) };
    },
  };
}

export interface LiveTreasury {
  treasury: TreasuryView;
  proposals: ProposalNow[];
  fees: FeeTold[];
}

const TREASURY_FACTS: readonly EmissionName[] = ["treasury:withdrawal", "treasury:distribution"];

/** Balance, admins, proposals and the newest fees. */
export function treasurySource(realtime: Realtime): Source<LiveTreasury> {
  return {
    rooms: ["treasury"],
    read: async () => {
      const treasury = await realtime.fetch<Told<TreasuryView>>("/api/treasury");
      if (!treasury) return null;
      const proposals = await all<ProposalNow>(realtime, "/api/treasury/proposals");
      const fees = await realtime.fetch<Page<FeeTold>>("/api/treasury/fees?limit=50");
      const data = { treasury: treasury.data, proposals: proposals.rows, fees: fees?.data ?? [] };
      return { ...treasury, asOf: oldest([treasury.asOf, ...proposals.asOf, fees?.asOf]), data };
    },
    fold: (known, emission, { name }) => {
      if (TREASURY_FACTS.includes(name)) return known; // the balance comes under a name of its own
      if (name !== "treasury:balance-updated") return "refetch";
      const { newBalance } = (emission as Emissions["treasury:balance-updated"]).data;
      return { ...known, treasury: { ...known.treasury, balance: newBalance } };
    },
  };
}

const PAGES = 20;

/** As of when a value of several requests is known: another node, or a copy of the database, may be behind the first. */
function oldest(cursors: readonly (string | undefined)[]): string {
  return cursors.reduce<string>((first, it) => {
    const [a, b] = [readCursor(first), readCursor(it)];
    return a && b && a.epoch === b.epoch && isAfter(a.offset, b.offset) ? it! : first;
  }, cursors[0]!);
}

/** Every page of a list, up to 4,000 rows, and as of when each was read. */
async function all<T>(realtime: Realtime, path: string): Promise<{ rows: T[]; asOf: string[] }> {
  const rows: T[] = [];
  const asOf: string[] = [];
  let next: string | null = null;
  for (let page = 0; page < PAGES; page++) {
    const query: string = next === null ? "?limit=200" : `?limit=200&after=${encodeURIComponent(next)}`;
    const found: Page<T> | null = await realtime.fetch<Page<T>>(path + query);
    if (!found) break;
    rows.push(...found.data);
    asOf.push(found.asOf);
    next = found.next;
    if (next === null) break;
  }
  return { rows, asOf };
}
