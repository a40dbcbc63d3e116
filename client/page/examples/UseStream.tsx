import { formatSbtc } from "@bitpay/realtime";
import { useStream } from "@bitpay/realtime/react";

export default function StreamCard({ id }: { id: string }) {
  const { data, isLoading, isStale, error } = useStream(id);
  if (isLoading) return <p>Loading…</p>;
  if (error && !data) return <p>It could not be read. Trying again…</p>;
  if (!data) return <p>There is no stream {id} yet.</p>;
  const { status, amount, vested, withdrawn, withdrawable } = data.stream;
  return (
    <dl style={{ opacity: isStale ? 0.6 : 1 }}>
      <dt>Stream {id}</dt>
      <dd>{status}</dd>
      <dt>Vested</dt>
      <dd>
        {formatSbtc(vested ?? 0n)} of {formatSbtc(amount ?? 0n)} sBTC
      </dd>
      <dt>Withdrawn</dt>
      <dd>{formatSbtc(withdrawn)} sBTC</dd>
      <dt>To withdraw</dt>
      <dd>{formatSbtc(withdrawable ?? 0n)} sBTC</dd>
    </dl>
  );
}
