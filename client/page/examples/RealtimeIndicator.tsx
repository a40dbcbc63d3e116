import { RealtimeIndicator } from "@bitpay/realtime/react";

export default function Indicator() {
  return <RealtimeIndicator />;
}
