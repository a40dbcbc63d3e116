/**
 * A small chain for the laws: what happens in BitPay, what is true after it, who is told of it, and what a
 * reorganisation says. The words are the spec's, sections B.3 and C; the arithmetic is no more than tests need.
 */
export interface Stream {
  streamId: string;
  withdrawn: string;
  status: string;
}
export interface Listing {
  streamId: string;
  price: string;
  status: string;
  reason: string | null;
}
export interface Sale {
  saleId: string;
  streamId: string;
  price: string;
}
export interface Proposal {
  proposalId: string;
  approvals: string[];
  approvalCount: string;
  required: string;
  executed: boolean;
}
export interface Fee {
  amount: string;
  newBalance: string;
}
export interface World {
  streams: Record<string, Stream>;
  listings: Record<string, Listing>;
  sales: Sale[];
  proposals: Record<string, Proposal>;
  fees: Fee[];
  balance: number;
  admins: string[];
}

export const GENESIS: World = {
  streams: {},
  listings: {},
  sales: [],
  proposals: {},
  fees: [],
  balance: 0,
  admins: ["D"],
};

export const DEEDS = [
  "create",
  "withdraw",
  "cancel",
  "list",
  "reprice",
  "delist",
  "buy",
  "reserve",
  "expire",
  "fee",
  "pay",
  "propose",
  "approve",
  "execute",
  "admin",
] as const;

/** What somebody does; what makes no sense in a world is not mined. */
export interface Deed {
  do: (typeof DEEDS)[number];
  id: number;
  by: number;
}

export interface Words {
  room: string;
  name: string;
  type: string;
  role?: string;
  data: object;
}
interface Outcome {
  world: World;
  words: Words[];
  about: { streamId?: string; proposalId?: string; isTreasury?: boolean };
}
/** An event of the chain, with the worlds on both sides of it. */
export interface Mined extends Outcome {
  id: string;
  deed: Deed;
  before: World;
}

export const OWNER = "A";
const USER = `user:${OWNER}`;

const say = (room: string, name: string, data: object, type = name, role?: string): Words => ({
  room,
  name,
  type,
  data,
  ...(role ? { role } : {}),
});
export const isOpen = (it: Listing | undefined): boolean => it?.status === "active" || it?.status === "pending";

/** The world after a deed, and who is told; null where it cannot be done. */
export function after(world: World, { do: what, id: number, by }: Deed): Outcome | null {
  const streamId = String(number);
  const about = { streamId };
  const stream = world.streams[streamId];
  const listing = world.listings[streamId];
  const streamed = (next: Stream, type: string, ...more: Words[]): Outcome => ({
    world: { ...world, streams: { ...world.streams, [streamId]: next } },
    words: [say(`stream:${streamId}`, "stream:updated", next, type), ...more],
    about,
  });
  const listed = (next: Listing, name: string, type: string): Outcome => ({
    world: { ...world, listings: { ...world.listings, [streamId]: next } },
    words: [say("marketplace", name, next, type), say(USER, name, next, type, "seller")],
    about,
  });
  switch (what) {
    case "create": {
      if (stream) return null;
      const next = { streamId, withdrawn: "0", status: "active" };
      return streamed(next, "created", say(USER, "stream:created", next, "stream-created", "sender"));
    }
    case "withdraw": {
      if (stream?.status !== "active") return null;
      const data = { streamId, amount: String(by) };
      return streamed(
        { ...stream, withdrawn: String(Number(stream.withdrawn) + by) },
        "withdrawal",
        say(`stream:${streamId}`, "stream:withdrawal", data),
        say(USER, "stream:withdrawal", data, "stream-withdrawal", "sender"),
      );
    }
    case "cancel": {
      if (stream?.status !== "active") return null;
      const told = streamed({ ...stream, status: "cancelled" }, "cancelled");
      if (!isOpen(listing)) return told;
      const next = { ...listing!, status: "auto_cancelled", reason: "stream_cancelled" };
      const words = [
        ...told.words,
        say("marketplace", "marketplace:listing-cancelled", next, "listing-auto-cancelled"),
        say(USER, "marketplace:listing-cancelled", next, "listing-auto-cancelled", "seller"),
      ];
      return { ...told, world: { ...told.world, listings: { ...world.listings, [streamId]: next } }, words };
    }
    case "list":
      if (stream?.status !== "active" || listing) return null;
      return listed({ streamId, price: String(by), status: "active", reason: null }, "marketplace:new-listing", "nft-listed");
    case "reprice":
      if (!isOpen(listing)) return null;
      return listed({ ...listing!, price: String(by) }, "marketplace:listing-updated", "listing-price-updated");
    case "reserve":
      if (listing?.status !== "active") return null;
      return listed({ ...listing, status: "pending" }, "marketplace:listing-updated", "purchase-initiated");
    case "expire":
      if (listing?.status !== "pending") return null;
      return listed({ ...listing, status: "active" }, "marketplace:listing-updated", "purchase-expired");
    case "delist":
      if (listing?.status !== "active") return null;
      return listed({ ...listing, status: "cancelled", reason: "seller" }, "marketplace:listing-cancelled", "listing-cancelled");
    case "buy": {
      if (!isOpen(listing)) return null;
      const sale = { saleId: String(world.sales.length + 1), streamId, price: listing!.price };
      const next = { ...listing!, status: "sold" };
      return {
        world: { ...world, listings: { ...world.listings, [streamId]: next }, sales: [sale, ...world.sales] },
        words: [
          say("marketplace", "marketplace:sale", sale, "sale-completed"),
          say(USER, "marketplace:sale", sale, "sale-completed", "seller"),
        ],
        about,
      };
    }
    case "fee": {
      const newBalance = String(world.balance + by);
      const fee = { amount: String(by), newBalance };
      return {
        world: { ...world, balance: world.balance + by, fees: [fee, ...world.fees] },
        words: [say("treasury", "treasury:fee-collected", fee), say("treasury", "treasury:balance-updated", { newBalance })],
        about: { isTreasury: true },
      };
    }
    case "pay": {
      if (world.balance < by) return null;
      const newBalance = String(world.balance - by);
      return {
        world: { ...world, balance: world.balance - by },
        words: [
          say("treasury", "treasury:withdrawal", { amount: String(by), newBalance }),
          say("treasury", "treasury:balance-updated", { newBalance }),
          say(USER, "treasury:withdrawal", { amount: String(by), newBalance }, "withdrawal", "recipient"),
        ],
        about: { isTreasury: true },
      };
    }
    default:
      return proposed(world, what, String(number), by);
  }
}

function proposed(world: World, what: "propose" | "approve" | "execute" | "admin", id: string, by: number): Outcome | null {
  const known = world.proposals[id];
  const required = String(Math.min(3, world.admins.length));
  const become = (next: Proposal, name: string, data: object): Outcome => ({
    world: { ...world, proposals: { ...world.proposals, [id]: next } },
    words: [say("treasury", name, data), say(USER, name, data, name, "admin")],
    about: { proposalId: id },
  });
  switch (what) {
    case "propose": {
      if (known) return null;
      const next = { proposalId: id, approvals: ["D"], approvalCount: "1", required, executed: false };
      return become(next, "treasury:proposal-created", next);
    }
    case "approve": {
      const approver = `E${by}`;
      if (!known || known.executed || known.approvals.includes(approver)) return null;
      const approvals = [...known.approvals, approver];
      const told = { proposalId: id, approver, approvalCount: String(approvals.length), required };
      const next = { ...known, approvals, approvalCount: told.approvalCount };
      return become(next, "treasury:proposal-approved", { ...told, ready: approvals.length >= Number(required) });
    }
    case "execute": {
      if (!known || known.executed || world.balance < by) return null;
      const newBalance = String(world.balance - by);
      const done = become({ ...known, executed: true }, "treasury:proposal-executed", { proposalId: id, newBalance });
      const words = [...done.words, say("treasury", "treasury:balance-updated", { newBalance })];
      return { world: { ...done.world, balance: world.balance - by }, words, about: { proposalId: id, isTreasury: true } };
    }
    case "admin": {
      if (!known || known.executed) return null;
      const admin = `E${by}`;
      const isAdded = !world.admins.includes(admin);
      const admins = isAdded ? [...world.admins, admin] : world.admins.filter((it) => it !== admin);
      const done = become({ ...known, executed: true }, "treasury:admin-proposal-executed", { proposalId: id });
      const words = [...done.words, say("treasury", `treasury:admin-${isAdded ? "added" : "removed"}`, { admin })];
      return { world: { ...done.world, admins }, words, about: { proposalId: id, isTreasury: true } };
    }
  }
}

export function treasuryView(world: World): object {
  const { admins, balance } = world;
  return { balance: String(balance), admins, activeAdminCount: String(admins.length) };
}

/** What `chain:reverted` says of each event, and behind all of them the compensations: the last is their entry. */
export function takenBack(events: readonly Mined[]): { id: string; words: Words[] }[] {
  const world = events[0]!.before;
  const descending = [...events].reverse();
  const entries = descending.map(({ id, words, about }) => {
    const { streamId, proposalId, isTreasury } = about;
    const state = {
      ...(streamId ? { stream: world.streams[streamId] ?? null, listing: world.listings[streamId] ?? null } : {}),
      ...(proposalId ? { proposal: world.proposals[proposalId] ?? null } : {}),
      ...(isTreasury ? { treasury: treasuryView(world) } : {}),
    };
    const rooms = [...new Map(words.map((it) => [it.room, it.role])).entries()];
    const data = { streamId: streamId ?? null, proposalId: proposalId ?? null, state };
    return { id, words: rooms.map(([room, role]) => say(room, "chain:reverted", data, "reverted", role)) };
  });
  return [...entries, { id: events[0]!.id, words: corrections(events, world) }];
}

function corrections(events: readonly Mined[], world: World): Words[] {
  const was = events.at(-1)!.world;
  const ids = [...new Set(events.flatMap((it) => it.about.streamId ?? []))].sort();
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  const words = ids.flatMap((streamId) => {
    const [before, now] = [was.listings[streamId], world.listings[streamId]];
    const listing = { ...(now ?? { ...before, status: "reverted" }), reason: "reorg" };
    const name = isOpen(now) ? (isOpen(before) ? "listing-updated" : "new-listing") : "listing-cancelled";
    const isTold = same(before, now) ? false : isOpen(before) || isOpen(now);
    const stream = world.streams[streamId] ?? { streamId, status: "reverted" };
    return [
      ...(same(was.streams[streamId], world.streams[streamId]) ? [] : [say(`stream:${streamId}`, "stream:updated", stream, "reverted")]),
      ...(isTold ? ["marketplace", USER].map((room) => say(room, `marketplace:${name}`, listing, "reverted")) : []),
    ];
  });
  const newBalance = String(world.balance);
  return was.balance === world.balance
    ? words
    : [...words, say("treasury", "treasury:balance-updated", { newBalance, reason: "reorg" }, "reverted")];
}
