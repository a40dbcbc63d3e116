import { LiveStreamUpdates } from "@bitpay/realtime/react";

export default function Banner({ id }: { id: string }) {
  return <LiveStreamUpdates streamId={id} />;
}
