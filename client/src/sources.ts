/** The snapshots behind the state hooks: where they are read, and what an emission makes of them. */
import type {
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
import { isLater } from "./cursor.js";
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
    read: () => gather<LiveMarketplace>(realtime, "/api/marketplace", "market", "listings", "sales"),
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

/** Balance, admins, proposals and the newest fees. */
export function treasurySource(realtime: Realtime): Source<LiveTreasury> {
  return {
    rooms: ["treasury"],
    read: () => gather<LiveTreasury>(realtime, "/api/treasury", "treasury", "proposals", "fees"),
    fold: (known, emission, { name }) => {
      if (/:(withdrawal|distribution)$/.test(name)) return known; // the balance comes under a name of its own
      if (name !== "treasury:balance-updated") return "refetch";
      const { newBalance } = (emission as Emissions["treasury:balance-updated"]).data;
      return { ...known, treasury: { ...known.treasury, balance: newBalance } };
    },
  };
}

const PAGES = 20;
const ROWS = 200;
const NEWEST = 50;

/**
 * A value with every row of one list under it, up to 4,000, and the newest of another. It is as of the oldest answer:
 * another node, or a copy of the database, may be behind the first.
 */
async function gather<D>(realtime: Realtime, path: string, value: keyof D, all: keyof D, newest: keyof D): Promise<Told<D> | null> {
  const found = await realtime.fetch<Told<unknown>>(path);
  if (!found) return null;
  let { asOf } = found;
  const rows = async (list: keyof D, limit: number, pages: number): Promise<unknown[]> => {
    const read: unknown[] = [];
    for (let next: string | null = ""; next !== null && pages > 0; pages--) {
      const after: string = next && `&after=${encodeURIComponent(next)}`;
      const page: Page<unknown> | null = await realtime.fetch<Page<unknown>>(`${path}/${String(list)}?limit=${limit}${after}`);
      if (!page) break;
      read.push(...page.data);
      if (isLater(asOf, page.asOf)) asOf = page.asOf;
      next = page.next;
    }
    return read;
  };
  const data = { [value]: found.data, [all]: await rows(all, ROWS, PAGES), [newest]: await rows(newest, NEWEST, 1) } as D;
  return { ...found, asOf, data };
}
