import { formatSbtc } from "@bitpay/realtime";
import { useTreasury } from "@bitpay/realtime/react";

export default function Treasury() {
  const { data } = useTreasury();
  if (!data) return <p>Loading…</p>;
  const [fee] = data.fees;
  const open = data.proposals.filter((it) => !it.executed);
  return (
    <dl>
      <dt>Balance</dt>
      <dd>{formatSbtc(data.balance)} sBTC</dd>
      <dt>Admins</dt>
      <dd>{data.treasury.admins.length}</dd>
      <dt>Open proposals</dt>
      <dd>{open.length}</dd>
      <dt>Latest fee</dt>
      <dd>{fee ? `${formatSbtc(BigInt(fee.amount))} sBTC` : "none yet"}</dd>
    </dl>
  );
}
