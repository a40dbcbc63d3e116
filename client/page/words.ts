/** What an emission says to a person. */
import { formatSbtc } from "@bitpay/realtime";

type Data = Record<string, unknown>;

export function sbtc(value: unknown): string {
  const sats = typeof value === "bigint" ? value : typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : null;
  return sats === null ? "?" : `${formatSbtc(sats)} sBTC`;
}

/** An address short enough to read; a contract keeps its name. */
export function party(value: unknown): string {
  if (typeof value !== "string" || value === "") return "nobody";
  const [address, contract] = value.split(".", 2);
  const short = address!.length > 14 ? `${address!.slice(0, 6)}…${address!.slice(-4)}` : address!;
  return contract ? `${short}.${contract}` : short;
}

const text = (value: unknown): string => (value === null || value === undefined ? "?" : String(value));
const stream = (d: Data): string => `Stream ${text(d.streamId)}`;
const proposal = (d: Data): string => `Proposal ${text(d.proposalId)}`;
const nft = (d: Data): string => (d.nft === "recipient" ? "recipient NFT" : "obligation NFT");
const why = (d: Data): string => (typeof d.reason === "string" ? ` (${d.reason.replaceAll("_", " ")})` : "");
const spaced = (name: unknown): string => text(name).replaceAll("-", " ");

const SENTENCES: Record<string, (d: Data, type: string) => string> = {
  "stream:created": (d) => `${stream(d)}: ${sbtc(d.amount)} from ${party(d.sender)} to ${party(d.recipient)}`,
  "stream:updated": (d, type) => {
    if (d.status === "reverted") return `${stream(d)} is no longer on the chain`;
    if (type === "created") return `${stream(d)}: ${sbtc(d.amount)} from ${party(d.sender)} to ${party(d.recipient)}`;
    const now = `${sbtc(d.withdrawn)} of ${sbtc(d.amount)} withdrawn, ${text(d.status)}`;
    return `${stream(d)} ${type === "reverted" ? "is back to" : "now has"} ${now}`;
  },
  "stream:withdrawal": (d) => `${stream(d)}: ${sbtc(d.amount)} withdrawn`,
  "stream:cancelled": (d) => `${stream(d)}: cancelled, ${sbtc(d.unvestedReturned)} returned`,
  "stream:sender-updated": (d) => `${stream(d)}: paid by ${party(d.newSender)} instead of ${party(d.oldSender)}`,
  "nft:minted": (d) => `${stream(d)}: ${nft(d)} minted for ${party(d.owner)}`,
  "nft:transferred": (d) => `${stream(d)}: ${nft(d)} moved to ${party(d.to)}`,
  "nft:burned": (d) => `${stream(d)}: ${nft(d)} burned by ${party(d.owner)}`,
  "marketplace:new-listing": (d) => `${stream(d)}: listed for ${sbtc(d.price)}${why(d)}`,
  "marketplace:listing-updated": (d, type) => {
    if (type === "purchase-initiated") return `${stream(d)}: reserved by a buyer for ${sbtc(d.price)}`;
    if (type === "purchase-expired") return `${stream(d)}: checkout expired, for sale again`;
    return `${stream(d)}: now offered for ${sbtc(d.price)}${why(d)}`;
  },
  "marketplace:listing-cancelled": (d) => `${stream(d)}: no longer for sale${why(d)}`,
  "marketplace:sale": (d) => `${stream(d)}: sold for ${sbtc(d.price)} to ${party(d.buyer)}`,
  "marketplace:config-updated": (d) => `Marketplace fee: ${text(d.newFeeBps)} bps instead of ${text(d.oldFeeBps)}`,
  "treasury:fee-collected": (d) => `Treasury: ${sbtc(d.amount)} collected, ${text(d.feeType)} fee`,
  "treasury:balance-updated": (d) => `Treasury now holds ${sbtc(d.newBalance)}${why(d)}`,
  "treasury:withdrawal": (d) => `Treasury: ${sbtc(d.amount)} withdrawn for ${party(d.recipient)}`,
  "treasury:distribution": (d) => `Treasury: ${sbtc(d.amount)} distributed to ${party(d.recipient)}`,
  "treasury:config-updated": (d) => `Protocol fee: ${text(d.newFeeBps)} bps instead of ${text(d.oldFeeBps)}`,
  "treasury:admin-transfer": (d, type) => `Treasury: ${spaced(type)}, ${party(d.newAdmin)}`,
  "treasury:proposal-created": (d) => `${proposal(d)}: ${sbtc(d.amount)} for ${party(d.recipient)}`,
  "treasury:proposal-approved": (d) => `${proposal(d)}: ${text(d.approvalCount)} of ${text(d.required)} approvals`,
  "treasury:proposal-ready": (d) => `${proposal(d)}: has all ${text(d.required)} approvals`,
  "treasury:proposal-executed": (d) => `${proposal(d)}: ${sbtc(d.amount)} paid to ${party(d.recipient)}`,
  "treasury:admin-proposal-created": (d) => `${proposal(d)}: ${spaced(d.action ?? d.kind)} ${party(d.targetAdmin)}`,
  "treasury:admin-proposal-approved": (d) => `${proposal(d)}: ${text(d.approvalCount)} of ${text(d.required)} approvals`,
  "treasury:admin-proposal-executed": (d) => `${proposal(d)}: executed, ${party(d.targetAdmin)}`,
  "treasury:admin-added": (d) => `Treasury: ${party(d.admin)} is an admin now`,
  "treasury:admin-removed": (d) => `Treasury: ${party(d.admin)} is no longer an admin`,
  "access-control:role-changed": (d, type) => `Access control: ${spaced(type)} ${party(d.admin ?? d.operator)}`,
  "access-control:contract": (d, type) => `Access control: ${spaced(type)} ${party(d.contract)}`,
  "access-control:backend": (d) => `Back end ${party(d.backend)} ${d.authorized ? "authorised" : "no longer authorised"}`,
  "access-control:admin-transfer": (d, type) => `Access control: ${spaced(type)}, ${party(d.newAdmin)}`,
  "access-control:protocol": (d) => `The protocol is ${d.paused ? "paused" : "running"}`,
  "chain:reverted": (d) => {
    const about = d.streamId ? stream(d) : d.proposalId ? proposal(d) : "On the chain";
    return `${about}: “${spaced(d.event)}” undone by a reorganisation`;
  },
};

/** A name that we do not know, as a broadcast may have, stands for itself. */
export function sentence(name: string, type: string, data: Data): string {
  return Object.hasOwn(SENTENCES, name) ? SENTENCES[name]!(data, type) : name;
}
