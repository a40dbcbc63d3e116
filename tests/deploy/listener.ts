// How a client uses the types; what must not compile is marked.
import { EMISSION_NAMES, type Answers, type EmissionName, type Emissions } from "../../client/src/catalogue.js";

declare function on<Name extends EmissionName>(name: Name, heard: (it: Emissions[Name], cursor: string) => void): void;

on("stream:updated", (it) => {
  const id: string = it.data.streamId;
  if (it.type === "withdrawal") console.log(id, BigInt(it.data.withdrawalAmount) + BigInt(it.data.withdrawn));
  if (it.data.status === "reverted") return;
  console.log(it.data.amount?.length, it.data.blockHeight + 1);
  // @ts-expect-error an amount is text
  const amount: number = it.data.withdrawn;
  // @ts-expect-error it is not repeated at the top level
  console.log(it.streamId, amount);
});

on("marketplace:sale", (it) => {
  console.log(it.price === it.data.price, it.saleType);
  if (it.role === "buyer") console.log(it.paymentId, it.type === "purchase-completed");
  // @ts-expect-error the seller is no role of the buyer's type
  if (it.type === "purchase-completed" && it.role === "seller") console.log(it.saleId);
});

on("chain:reverted", (it) => {
  const names: EmissionName[] = it.data.names;
  console.log(names, it.data.state.stream?.status, it.data.state.treasury?.balance, it.meta.op);
});

on("notification:new", (it) => console.log(it.data.unread, it.data.title, it.type === "stream_received"));

// @ts-expect-error nobody says that
on("stream:odd", () => undefined);

const first: EmissionName = EMISSION_NAMES[0];
const all: readonly EmissionName[] = EMISSION_NAMES;
const missing: Exclude<EmissionName, (typeof EMISSION_NAMES)[number]>[] = [];
const listings = async (): Promise<Answers["GET /api/marketplace/listings"]> => (await fetch("/")).json();
listings().then(({ data, next, asOf, tip }) => console.log(data[0]?.purchasable, next, asOf, tip.blockHeight, first, all, missing));
