import { Toasts } from "@bitpay/realtime/react";

export default function Corner() {
  return <Toasts navigate={(path) => console.log("to", path)} />;
}
