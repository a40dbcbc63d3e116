import { formatSbtc } from "@bitpay/realtime";
import { useMarketplaceEvents } from "@bitpay/realtime/react";

export default function MarketEvents() {
  const { listings, sales } = useMarketplaceEvents();
  if (listings.length + sales.length === 0) {
    return <p>Nothing was listed or sold while you look.</p>;
  }
  return (
    <ul>
      {listings.slice(0, 3).map((it) => (
        <li key={it.streamId}>
          Stream {it.streamId} listed for {formatSbtc(BigInt(it.price ?? 0))} sBTC
        </li>
      ))}
      {sales.slice(0, 3).map((it) => (
        <li key={it.saleId}>
          Stream {it.streamId} sold for {formatSbtc(BigInt(it.price))} sBTC
        </li>
      ))}
    </ul>
  );
}
