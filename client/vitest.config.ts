import { defineConfig } from "vitest/config";

// the sample application imports the package by its name
const alias = {
  "@bitpay/realtime/react": new URL("src/react.tsx", import.meta.url).pathname,
  "@bitpay/realtime": new URL("src/index.ts", import.meta.url).pathname,
};

export default defineConfig({ resolve: { alias } });
