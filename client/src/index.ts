/** `@bitpay/realtime`: live, complete and reorg-true state of BitPay, without a framework. */
export * from "./catalogue.js";
export { Realtime } from "./connection.js";
export type { AnyListener, Heard, JoinAnswer, Listener, RealtimeOptions, Status } from "./connection.js";
export { EMPTY_MARKET, EMPTY_TREASURY, foldMarket, foldTreasury, foldUserEvents, keptEvent } from "./folds.js";
export type { KeptEvent, KnownProposal, Market, Treasury } from "./folds.js";
export { Folded, Snapshot } from "./live.js";
export type { Live, Source } from "./live.js";
export { marketplaceSource, streamSource, treasurySource } from "./sources.js";
export type { LiveListing, LiveMarketplace, LiveStream, LiveTreasury } from "./sources.js";
export { signIn, signOut, signWithWallet } from "./signin.js";
export type { Session, Signed, SignInOptions } from "./signin.js";
export { formatSbtc, streamAt } from "./vesting.js";
export type { Stream, Vesting } from "./vesting.js";
