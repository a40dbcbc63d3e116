import { formatSbtc } from "@bitpay/realtime";
import { useMarketplace } from "@bitpay/realtime/react";

export default function Market() {
  const { data } = useMarketplace();
  if (!data) return <p>Loading…</p>;
  const { listings, sales, market } = data;
  return (
    <>
      <p>
        {listings.length} for sale, {market.totalSales} sold,
        fee {Number(market.feeBps) / 100} %
      </p>
      <ul>
        {listings.slice(0, 4).map((it) => (
          <li key={it.streamId}>
            Stream {it.streamId} for {formatSbtc(it.price ?? 0n)} sBTC
            {it.status === "pending" && ", reserved"}
          </li>
        ))}
        {sales.slice(0, 2).map((it) => (
          <li key={it.saleId}>
            Stream {it.streamId} was sold for {formatSbtc(BigInt(it.price))} sBTC
          </li>
        ))}
      </ul>
    </>
  );
}
