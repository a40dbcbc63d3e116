import { formatSbtc } from "@bitpay/realtime";
import { useTreasuryEvents } from "@bitpay/realtime/react";

export default function TreasuryEvents() {
  const { feeCollections, balanceUpdate, proposals } = useTreasuryEvents();
  if (!balanceUpdate && proposals.length === 0) {
    return <p>Nothing happened in the treasury while you look.</p>;
  }
  return (
    <p>
      Fees: {feeCollections.length}. Proposals: {proposals.length}.
      {balanceUpdate &&
        ` Balance: ${formatSbtc(BigInt(balanceUpdate.newBalance))} sBTC.`}
    </p>
  );
}
