import { useRealtime } from "@bitpay/realtime/react";
import { useEffect, useState } from "react";

export default function Connection() {
  const { status, isConnected, subscribe, joinMarketplace, leaveMarketplace } =
    useRealtime();
  const [last, setLast] = useState("nothing yet");
  useEffect(() => {
    joinMarketplace();
    const stop = subscribe("*", (emission, { name, replayed }) => {
      setLast(`${name} at ${emission.meta.offset}${replayed ? ", missed before" : ""}`);
    });
    return () => {
      stop();
      leaveMarketplace();
    };
  }, [subscribe, joinMarketplace, leaveMarketplace]);
  return (
    <p>
      {isConnected ? "Connected" : "Not connected"} ({status}). Last heard: {last}.
    </p>
  );
}
