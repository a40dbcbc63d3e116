/** What the chain's height makes of a stream; the same integer arithmetic as the contract and the server. */
import type { StreamView } from "./catalogue.js";

export interface Vesting {
  vested: bigint | null;
  withdrawable: bigint | null;
  phase: "scheduled" | "streaming" | "ended" | null;
}

/** A stream with amounts in sats and heights as `bigint`. */
export interface Stream extends Vesting {
  streamId: string;
  sender: string | null;
  recipient: string | null;
  amount: bigint | null;
  startBlock: bigint | null;
  endBlock: bigint | null;
  withdrawn: bigint;
  totalPaid: bigint;
  remaining: bigint | null;
  status: string;
  cancelledAtBlock: bigint | null;
  unvestedReturned: bigint | null;
  vestedPaid: bigint | null;
  cancellationFee: bigint | null;
}

export function whole(text: string | null | undefined): bigint | null {
  return text === null || text === undefined ? null : BigInt(text);
}

/** Reads a StreamView and says what is vested at the height `tip`. */
export function streamAt(view: StreamView, tip: number): Stream {
  const stream = {
    streamId: view.streamId,
    sender: view.sender,
    recipient: view.recipient,
    amount: whole(view.amount),
    startBlock: whole(view.startBlock),
    endBlock: whole(view.endBlock),
    withdrawn: BigInt(view.withdrawn),
    totalPaid: BigInt(view.totalPaid),
    remaining: whole(view.remaining),
    status: view.status,
    cancelledAtBlock: whole(view.cancelledAtBlock),
    unvestedReturned: whole(view.unvestedReturned),
    vestedPaid: whole(view.vestedPaid),
    cancellationFee: whole(view.cancellationFee),
  };
  return { ...stream, ...vesting(stream, BigInt(tip)) };
}

function vesting(stream: Omit<Stream, keyof Vesting>, tip: bigint): Vesting {
  const { amount, startBlock: start, endBlock: end, withdrawn, totalPaid, status } = stream;
  if (amount === null || start === null || end === null) return { vested: null, withdrawable: null, phase: null };
  let vested = tip < start ? 0n : tip >= end ? amount : (amount * (tip - start)) / (end - start);
  if (status === "cancelled") vested = totalPaid;
  const due = vested - withdrawn;
  return {
    vested,
    withdrawable: status === "active" && due > 0n ? due : 0n,
    phase: tip < start ? "scheduled" : tip < end ? "streaming" : "ended",
  };
}

/** Sats as sBTC with all 8 decimals, by integer arithmetic: `formatSbtc(150000000n)` is `1.50000000`. */
export function formatSbtc(sats: bigint): string {
  const digits = (sats < 0n ? -sats : sats).toString().padStart(9, "0");
  return `${sats < 0n ? "-" : ""}${digits.slice(0, -8)}.${digits.slice(-8)}`;
}
