/** Lists and values made of emissions alone: pure functions from what is known and one emission to what is known then. */
import type { EmissionName, Emissions, ListingView, SaleTold } from "./catalogue.js";

const KEPT = 50;

type AnyEmission = Emissions[EmissionName];

/** An emission as lists keep it, with the name that it came under. */
export interface KeptEvent {
  name: EmissionName;
  type: string;
  role: string | undefined;
  data: AnyEmission["data"];
  meta: AnyEmission["meta"];
  /** The chain took it back. */
  reverted: boolean;
}

export function keptEvent(name: EmissionName, emission: AnyEmission): KeptEvent {
  const { type, role, data, meta } = emission;
  return { name, type, role, data, meta, reverted: false };
}

/** What a user heard, newest first. The rollback of an event marks it; the same event applied again stands anew. Another
 * user's first event ends what was heard before. */
export function foldUserEvents(events: readonly KeptEvent[], name: EmissionName, emission: AnyEmission): KeptEvent[] {
  if (name === "chain:reverted") {
    const { id } = emission.meta;
    return events.map((it) => (it.meta.id === id && it.meta.op === "apply" ? { ...it, reverted: true } : it));
  }
  const added = keptEvent(name, emission);
  const same = ({ name: its, meta }: KeptEvent): boolean =>
    its === name && meta.id === added.meta.id && meta.op === added.meta.op;
  const known = events.find((it) => same(it) && !it.reverted);
  if (known?.role && !added.role) return [...events];
  return [added, ...events.filter((it) => it.meta.room === added.meta.room && !same(it))].slice(0, KEPT);
}

export interface Market {
  listings: ListingView[];
  sales: SaleTold[];
  /** Sale data has no id of its own event; this remembers it, to take a reverted one out. */
  saleIds: string[];
}

export const EMPTY_MARKET: Market = { listings: [], sales: [], saleIds: [] };

/** The open listings and the newest sales, from what the room `marketplace` hears. */
export function foldMarket(market: Market, name: EmissionName, emission: AnyEmission): Market {
  const { listings } = market;
  const data = emission.data as ListingView;
  const without = listings.filter((it) => it.streamId !== data.streamId);
  switch (name) {
    case "marketplace:new-listing": {
      if (data.status !== "active" && data.status !== "pending") return { ...market, listings: without };
      const known = listings.some((it) => it.streamId === data.streamId);
      const added = known ? listings.map((it) => (it.streamId === data.streamId ? data : it)) : [data, ...listings];
      return { ...market, listings: added };
    }
    case "marketplace:listing-updated":
      return {
        ...market,
        listings: listings.map((it) => (it.streamId === data.streamId ? { ...it, ...data } : it)),
      };
    case "marketplace:listing-cancelled":
      return { ...market, listings: without };
    case "marketplace:sale": {
      const kept = market.saleIds.map((id, at) => [id, market.sales[at]!] as const);
      const sale = [emission.meta.id, emission.data as SaleTold] as const;
      const all = [sale, ...kept.filter(([id]) => id !== sale[0])].slice(0, KEPT);
      return { listings: without, sales: all.map((it) => it[1]), saleIds: all.map((it) => it[0]) };
    }
    case "chain:reverted": {
      const at = market.saleIds.indexOf(emission.meta.id);
      if (at < 0) return market;
      const keep = (_: unknown, index: number): boolean => index !== at;
      return { ...market, sales: market.sales.filter(keep), saleIds: market.saleIds.filter(keep) };
    }
    default:
      return market;
  }
}

/** A proposal as far as its emissions told it; `id` is the earlier name of `proposalId`. */
export type KnownProposal = Partial<Emissions["treasury:proposal-created"]["data"]> & {
  id: string;
  proposalId: string;
};

export interface Treasury {
  proposals: KnownProposal[];
  admins: { address: string; isActive: boolean }[];
  feeCollections: Emissions["treasury:fee-collected"]["data"][];
  feeIds: string[];
  balanceUpdate: Emissions["treasury:balance-updated"]["data"] | null;
}

export const EMPTY_TREASURY: Treasury = {
  proposals: [],
  admins: [],
  feeCollections: [],
  feeIds: [],
  balanceUpdate: null,
};

/** Proposals, admins, fees and the balance, from what the room `treasury` hears. */
export function foldTreasury(treasury: Treasury, name: EmissionName, emission: AnyEmission): Treasury {
  if (/^treasury:(admin-)?proposal-/.test(name)) {
    return { ...treasury, proposals: upsert(treasury.proposals, emission.data as KnownProposal, name) };
  }
  switch (name) {
    case "treasury:admin-added":
    case "treasury:admin-removed": {
      const { admin } = emission.data as Emissions["treasury:admin-added"]["data"];
      const known = treasury.admins.filter((it) => it.address !== admin);
      return { ...treasury, admins: [...known, { address: admin, isActive: name === "treasury:admin-added" }] };
    }
    case "treasury:fee-collected": {
      const fee = emission.data as Emissions["treasury:fee-collected"]["data"];
      return {
        ...treasury,
        feeCollections: [fee, ...treasury.feeCollections].slice(0, KEPT),
        feeIds: [emission.meta.id, ...treasury.feeIds].slice(0, KEPT),
      };
    }
    case "treasury:balance-updated":
      return { ...treasury, balanceUpdate: emission.data as Emissions["treasury:balance-updated"]["data"] };
    case "chain:reverted":
      return taken(treasury, emission as Emissions["chain:reverted"]);
    default:
      return treasury;
  }
}

function upsert(proposals: KnownProposal[], data: Partial<KnownProposal>, name: string): KnownProposal[] {
  const id = data.proposalId ?? "";
  const executed = name.endsWith("-executed") ? { executed: true } : {};
  const known = proposals.find((it) => it.proposalId === id);
  const next = { ...known, ...data, ...executed, id, proposalId: id };
  return known ? proposals.map((it) => (it === known ? next : it)) : [next, ...proposals];
}

function taken(treasury: Treasury, { data, meta }: Emissions["chain:reverted"]): Treasury {
  const at = treasury.feeIds.indexOf(meta.id);
  const keep = (_: unknown, index: number): boolean => index !== at;
  const next = {
    ...treasury,
    feeIds: treasury.feeIds.filter(keep),
    feeCollections: treasury.feeCollections.filter(keep),
  };
  const { state, proposalId } = data;
  if (state.proposal === null) next.proposals = next.proposals.filter((it) => it.proposalId !== proposalId);
  else if (state.proposal) next.proposals = upsert(next.proposals, state.proposal, "");
  if (state.treasury) next.admins = state.treasury.admins.map((address) => ({ address, isActive: true }));
  return next;
}
