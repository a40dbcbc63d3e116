import { NotificationCentre } from "@bitpay/realtime/react";

export default function Bell() {
  return <NotificationCentre navigate={(path) => console.log("to", path)} />;
}
