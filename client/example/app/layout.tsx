import type { ReactNode } from "react";
import { Live } from "./live.js";
import "@bitpay/realtime/bitpay.css";

export default function Layout({ children }: { children: ReactNode }): ReactNode {
  return (
    <html lang="en">
      <body>
        <Live>{children}</Live>
      </body>
    </html>
  );
}
