// What the server says and answers, as types. Made from its catalogue by
//     python -m deploy.catalogue --typescript

// Quantities (amounts, ids, heights, counts) are decimal text: read them with BigInt.

/** A durable name. */
export type EmissionName =
  | "stream:created"
  | "stream:updated"
  | "stream:withdrawal"
  | "stream:cancelled"
  | "stream:sender-updated"
  | "nft:minted"
  | "nft:transferred"
  | "nft:received"
  | "nft:burned"
  | "marketplace:new-listing"
  | "marketplace:listing-updated"
  | "marketplace:listing-cancelled"
  | "marketplace:sale"
  | "marketplace:purchase-initiated"
  | "marketplace:purchase-expired"
  | "marketplace:config-updated"
  | "treasury:fee-collected"
  | "treasury:balance-updated"
  | "treasury:withdrawal"
  | "treasury:distribution"
  | "treasury:config-updated"
  | "treasury:admin-transfer"
  | "treasury:proposal-created"
  | "treasury:proposal-approved"
  | "treasury:proposal-ready"
  | "treasury:proposal-executed"
  | "treasury:admin-proposal-created"
  | "treasury:admin-proposal-approved"
  | "treasury:admin-proposal-executed"
  | "treasury:admin-added"
  | "treasury:admin-removed"
  | "access-control:role-changed"
  | "access-control:contract"
  | "access-control:admin-transfer"
  | "access-control:backend"
  | "access-control:protocol"
  | "chain:reverted"
  | "notification:new"
  | "notification:retracted";

/** An event of the chain, by the name that it has there. */
export type EventName =
  | "stream-created"
  | "stream-withdrawal"
  | "stream-cancelled"
  | "stream-sender-updated"
  | "market-nft-listed"
  | "market-listing-price-updated"
  | "market-listing-cancelled"
  | "market-direct-purchase-completed"
  | "market-purchase-initiated"
  | "market-gateway-purchase-completed"
  | "market-purchase-expired"
  | "market-backend-authorized"
  | "market-backend-deauthorized"
  | "market-marketplace-fee-updated"
  | "treasury-fee-collected"
  | "treasury-cancellation-fee-collected"
  | "treasury-marketplace-fee-collected"
  | "treasury-withdrawal"
  | "treasury-distribution"
  | "treasury-fee-updated"
  | "treasury-admin-transfer-proposed"
  | "treasury-admin-transfer-completed"
  | "treasury-admin-transfer-cancelled"
  | "treasury-withdrawal-proposed"
  | "treasury-withdrawal-approved"
  | "treasury-withdrawal-executed"
  | "treasury-add-admin-proposed"
  | "treasury-remove-admin-proposed"
  | "treasury-admin-proposal-approved"
  | "treasury-admin-proposal-executed"
  | "access-admin-added"
  | "access-admin-removed"
  | "access-operator-added"
  | "access-operator-removed"
  | "access-contract-authorized"
  | "access-contract-revoked"
  | "access-protocol-paused"
  | "access-protocol-unpaused"
  | "access-admin-transfer-initiated"
  | "access-admin-transfer-completed"
  | "obligation-minted"
  | "obligation-transferred"
  | "nft-burn"
  | "nft-mint";

/** What a notification is about. */
export type NotificationType =
  | "stream_received"
  | "stream_created"
  | "stream_withdrawal"
  | "stream_cancelled"
  | "stream_sender_updated"
  | "nft_received"
  | "nft_transferred"
  | "nft_listed"
  | "listing_updated"
  | "listing_cancelled"
  | "purchase_initiated"
  | "purchase_expired"
  | "purchase_completed"
  | "sale_completed"
  | "treasury_withdrawal"
  | "treasury_distribution"
  | "withdrawal_proposed"
  | "withdrawal_approved"
  | "withdrawal_executed"
  | "admin_action_required"
  | "admin_added"
  | "admin_removed"
  | "admin_transfer"
  | "operator_added"
  | "operator_removed"
  | "security_alert"
  | "protocol_paused"
  | "protocol_unpaused";

/** A listener's part in an event. */
export type Role =
  | "sender"
  | "recipient"
  | "old-sender"
  | "new-sender"
  | "owner"
  | "seller"
  | "buyer"
  | "current-admin"
  | "old-admin"
  | "new-admin"
  | "admin"
  | "proposer"
  | "approver"
  | "target";

/** Kinds of rooms: `user:<address>`, `stream:<id>`, and four that are one room each. */
export type RoomKind =
  | "user"
  | "stream"
  | "marketplace"
  | "treasury"
  | "access-control"
  | "global";

/** Where on the chain it happened; `timestamp` in unix seconds. */
export interface ChainFacts {
  txHash: string;
  blockHeight: number;
  blockHash: string;
  timestamp: number;
}

/** Where an emission stands among all (`offset`), what it speaks of (`id`), and where it was heard. */
export interface Meta {
  v: 1;
  offset: string;
  id: string;
  room: string;
  op: "apply" | "rollback" | "broadcast";
  event: EventName | null;
  contract: string | null;
  txIndex: number | null;
  eventIndex: number | null;
  reapplied: boolean;
  late: boolean;
}

/** What comes with a name. `role` is the listener's part in it, in user rooms only. */
export interface Envelope<Data, Type extends string = string, Role extends string = string> {
  type: Type;
  role?: Role;
  data: Data;
  meta: Meta;
}

/** The same with the fields of `data` repeated at the top level: names of `marketplace:` and `treasury:`. */
export type FlatEnvelope<Data, Type extends string = string, Role extends string = string> = Data &
  Envelope<Data, Type, Role>;

/**
 * A stream: `amount` in all, `withdrawn` so far, `totalPaid` with what a cancellation paid out, and what may still be
 * drawn, `remaining`.
 */
export interface StreamView {
  streamId: string;
  sender: string | null;
  recipient: string | null;
  amount: string | null;
  startBlock: string | null;
  endBlock: string | null;
  withdrawn: string;
  totalPaid: string;
  remaining: string | null;
  status: "active" | "completed" | "cancelled";
  cancelledAtBlock: string | null;
  unvestedReturned: string | null;
  vestedPaid: string | null;
  cancellationFee: string | null;
}

/** The stream after a withdrawal, and how much that was. */
export interface StreamDrawn {
  streamId: string;
  sender: string | null;
  recipient: string | null;
  amount: string | null;
  startBlock: string | null;
  endBlock: string | null;
  withdrawn: string;
  totalPaid: string;
  remaining: string | null;
  status: "active" | "completed" | "cancelled";
  cancelledAtBlock: string | null;
  unvestedReturned: string | null;
  vestedPaid: string | null;
  cancellationFee: string | null;
  withdrawalAmount: string;
}

/** The stream with its new payer, and how that came about. */
export interface StreamHandedOver {
  streamId: string;
  sender: string | null;
  recipient: string | null;
  amount: string | null;
  startBlock: string | null;
  endBlock: string | null;
  withdrawn: string;
  totalPaid: string;
  remaining: string | null;
  status: "active" | "completed" | "cancelled";
  cancelledAtBlock: string | null;
  unvestedReturned: string | null;
  vestedPaid: string | null;
  cancellationFee: string | null;
  oldSender: string;
  newSender: string;
  transferType: string;
}

/** The block that made the stream is not on the chain any more. */
export interface StreamGone {
  streamId: string;
  status: "reverted";
}

/** A withdrawal: `amount` is what was drawn now, `totalWithdrawn` what has been drawn so far. */
export interface Withdrawn {
  streamId: string;
  sender: string | null;
  recipient: string;
  amount: string;
  totalWithdrawn: string;
  remaining: string | null;
  streamAmount: string | null;
  completed: boolean;
  status: "active" | "completed" | "cancelled";
}

/** A cancellation, and how the stream's sats were shared out. */
export interface Cancelled {
  streamId: string;
  sender: string;
  recipient: string | null;
  unvestedReturned: string;
  vestedPaid: string;
  cancellationFee: string;
  cancelledAtBlock: string;
  totalPaid: string;
}

/** Another payer; `saleId` where a sale did it. */
export interface SenderUpdated {
  streamId: string;
  oldSender: string;
  newSender: string;
  recipient: string | null;
  transferType: string;
  saleId: string | null;
}

/** An NFT of a stream, and whose it is, or was until it was burned. */
export interface NftOwned {
  nft: "obligation" | "recipient";
  tokenId: string;
  streamId: string;
  owner: string;
}

/** An obligation NFT with a new owner; `syncRequired`: the stream's payer did not follow. */
export interface NftMoved {
  nft: "obligation" | "recipient";
  tokenId: string;
  streamId: string;
  from: string;
  to: string;
  streamSender: string | null;
  syncRequired: boolean;
}

/** The offer of a stream's obligation NFT. `reverted`: it was never made, for the chain took its block back. */
export interface ListingView {
  streamId: string;
  seller: string | null;
  price: string | null;
  listedAt: string | null;
  status: "active" | "pending" | "sold" | "cancelled" | "auto_cancelled" | "reverted";
  reason:
    | "seller"
    | "stream_cancelled"
    | "stream_completed"
    | "nft_burned"
    | "nft_transferred"
    | "ownership_restored"
    | "reorg"
    | null;
}

/** The listing with its new price. */
export interface ListingRepriced {
  streamId: string;
  seller: string | null;
  price: string | null;
  listedAt: string | null;
  status: "active" | "pending" | "sold" | "cancelled" | "auto_cancelled" | "reverted";
  reason:
    | "seller"
    | "stream_cancelled"
    | "stream_completed"
    | "nft_burned"
    | "nft_transferred"
    | "ownership_restored"
    | "reorg"
    | null;
  oldPrice: string;
  newPrice: string;
}

/** A sale as all may know it; what is not known of its fee is null. */
export interface SaleView {
  streamId: string;
  seller: string;
  buyer: string;
  price: string;
  marketplaceFee: string | null;
  sellerProceeds: string | null;
  saleId: string;
  saleType: "direct" | "gateway";
}

/** A sale as its buyer and seller know it. */
export interface PrivateSale {
  streamId: string;
  seller: string;
  buyer: string;
  price: string;
  marketplaceFee: string | null;
  sellerProceeds: string | null;
  saleId: string;
  saleType: "direct" | "gateway";
  paymentId: string | null;
}

/** A checkout began: the listing is reserved until the height `expiresAt`. */
export interface PurchaseInitiated {
  streamId: string;
  seller: string | null;
  buyer: string;
  price: string | null;
  paymentId: string;
  initiatedAt: string;
  expiresAt: string;
}

/** A checkout was not paid in time. */
export interface PurchaseExpired {
  streamId: string;
  seller: string | null;
  buyer: string;
  price: string | null;
  paymentId: string | null;
  expiresAt: string | null;
}

/** Another fee of sales, in basis points. */
export interface MarketFeeUpdated {
  oldFeeBps: string;
  newFeeBps: string;
  updatedBy: string | null;
}

/** A collected fee, and what it was paid for. */
export interface FeeView {
  feeType: "general" | "cancellation" | "marketplace";
  amount: string;
  caller: string;
  newBalance: string;
  streamId: string | null;
  saleId: string | null;
}

/** The treasury's new balance; `change` has a sign. */
export interface BalanceView {
  newBalance: string;
  previousBalance: string;
  change: string;
  reason: "fee" | "withdrawal" | "distribution" | "proposal-executed" | "reorg";
}

/** The legacy admin paid somebody. */
export interface Payout {
  amount: string;
  recipient: string;
  admin: string;
  newBalance: string;
}

/** The legacy admin paid a recipient of fees, who has got `recipientTotal` so far. */
export interface Distribution {
  amount: string;
  recipient: string;
  admin: string;
  newBalance: string;
  recipientTotal: string;
}

/** Another fee of the protocol, in basis points. */
export interface TreasuryFeeUpdated {
  oldFeeBps: string;
  newFeeBps: string;
  admin: string;
}

/** The rights of an admin are offered to another, or taken over with nobody losing them. */
export interface AdminTransfer {
  currentAdmin: string | null;
  newAdmin: string;
}

/** The new admin took the legacy admin's rights over. */
export interface TransferCompleted {
  oldAdmin: string;
  newAdmin: string;
}

/** The offer was taken back; `newAdmin` is who had it. */
export interface TransferCancelled {
  cancelledBy: string;
  newAdmin: string | null;
}

/** A proposal of the treasury's admins; `approvals` are addresses in the order of approval. */
export interface ProposalView {
  proposalId: string;
  kind: "withdrawal" | "add-admin" | "remove-admin";
  proposer: string | null;
  recipient: string | null;
  amount: string | null;
  description: string | null;
  action: "add" | "remove" | null;
  targetAdmin: string | null;
  approvals: string[];
  approvalCount: string;
  required: string;
  proposedAt: string | null;
  timelockExpires: string | null;
  expiresAt: string | null;
  executed: boolean;
  executedAt: string | null;
}

/** One more approval; `ready`: there are as many as are required. */
export interface ProposalApproved {
  proposalId: string;
  kind: "withdrawal" | "add-admin" | "remove-admin";
  approver: string;
  approvalCount: string;
  required: string;
  proposer: string | null;
  ready: boolean;
}

/** The last approval that was needed is in. */
export interface ProposalReady {
  proposalId: string;
  kind: "withdrawal" | "add-admin" | "remove-admin";
  proposer: string | null;
  approvalCount: string;
  required: string;
  timelockExpires: string | null;
  expiresAt: string | null;
}

/** A proposed withdrawal was paid. */
export interface WithdrawalExecuted {
  proposalId: string;
  kind: "withdrawal" | "add-admin" | "remove-admin";
  recipient: string;
  amount: string;
  approvalCount: string;
  executedAt: string;
  executor: string | null;
  newBalance: string;
}

/** A proposal about an admin took effect; the counts are those after it. */
export interface AdminProposalExecuted {
  proposalId: string;
  kind: "withdrawal" | "add-admin" | "remove-admin";
  action: string;
  targetAdmin: string;
  approvalCount: string;
  executedAt: string;
  executor: string | null;
  activeAdminCount: string;
  required: string;
}

/** Who is an admin of the treasury now, or no longer. */
export interface AdminChanged {
  admin: string;
  proposalId: string;
  activeAdminCount: string;
  required: string;
}

export interface AdminAdded {
  admin: string;
  addedBy: string;
}

export interface AdminRemoved {
  admin: string;
  removedBy: string;
}

export interface OperatorAdded {
  operator: string;
  addedBy: string;
}

export interface OperatorRemoved {
  operator: string;
  removedBy: string;
}

/** A contract that may use the vault. */
export interface ContractAuthorized {
  contract: string;
  authorizedBy: string;
}

/** A contract that may not use the vault any more. */
export interface ContractRevoked {
  contract: string;
  revokedBy: string;
}

/** Who may settle checkouts, or no longer; `by` sent the transaction. */
export interface BackendChanged {
  backend: string;
  authorized: boolean;
  by: string | null;
}

export interface Paused {
  paused: boolean;
  pausedBy: string;
  pausedAt: string;
}

export interface Unpaused {
  paused: boolean;
  unpausedBy: string;
  unpausedAt: string;
}

/** Whether the protocol is paused now. */
export interface PauseView {
  paused: boolean;
}

/** The treasury; `required` is how many must approve, `admins` are addresses. */
export interface TreasuryView {
  balance: string;
  totalFees: string;
  feeBps: string;
  admin: string | null;
  pendingAdmin: string | null;
  activeAdminCount: string;
  required: string;
  admins: string[];
}

/** The marketplace's fee in basis points, and its totals. */
export interface MarketView {
  feeBps: string;
  totalListings: string;
  totalSales: string;
  totalVolume: string;
}

/** Whether all is paused, and who may do that. */
export interface ProtocolView {
  paused: boolean;
  pendingAdmin: string | null;
  admins: string[];
  operators: string[];
}

/** What is true without a reverted event, by the aggregates that it had changed; null for what is no more. */
export interface StateView {
  stream?: StreamView | null;
  listing?: ListingView | null;
  proposal?: ProposalView | null;
  treasury?: TreasuryView;
  market?: MarketView;
  protocol?: ProtocolView;
}

/** An event that is not on the chain any more; `names` are what the room had got of it. */
export interface Reverted {
  event: EventName;
  contract: string;
  names: EmissionName[];
  streamId: string | null;
  proposalId: string | null;
  state: StateView;
}

/** A notification, and how many the address has not read now. */
export interface NotificationPushed {
  id: string;
  address: string;
  type: NotificationType;
  category: "streams" | "marketplace" | "treasury" | "security" | "system";
  priority: "low" | "normal" | "high" | "urgent";
  status: "unread" | "read" | "archived" | "retracted";
  title: string;
  message: string;
  data: Record<string, string | number | null>;
  actionUrl: string | null;
  actionText: string | null;
  eventId: string;
  createdAt: string;
  unread: string;
}

/** A notification that does not hold any more, and how many the address has not read now. */
export interface NotificationRetracted {
  id: string;
  unread: string;
}

/** The block that the chain is told up to; `timestamp` in unix seconds, null when that block is not known. */
export interface Tip {
  blockHeight: number;
  timestamp: number | null;
}

/** A stream at the tip. */
export interface StreamNow {
  streamId: string;
  sender: string | null;
  recipient: string | null;
  amount: string | null;
  startBlock: string | null;
  endBlock: string | null;
  withdrawn: string;
  totalPaid: string;
  remaining: string | null;
  status: "active" | "completed" | "cancelled";
  cancelledAtBlock: string | null;
  unvestedReturned: string | null;
  vestedPaid: string | null;
  cancellationFee: string | null;
  vested: string | null;
  withdrawable: string | null;
  phase: "scheduled" | "streaming" | "ended" | null;
}

/** The obligation NFT; `syncRequired`: it has another owner than the stream has a payer. */
export interface ObligationNow {
  owner: string | null;
  status: "minted" | "burned";
  syncRequired: boolean;
}

/** An NFT; one that is burned has no owner. */
export interface NftView {
  owner: string | null;
  status: "minted" | "burned";
}

export interface Nfts {
  obligation: ObligationNow | null;
  recipient: NftView | null;
}

/** A listing at the tip; `purchasable`: anyone may buy now. */
export interface ListingNow {
  streamId: string;
  seller: string | null;
  price: string | null;
  listedAt: string | null;
  status: "active" | "pending" | "sold" | "cancelled" | "auto_cancelled" | "reverted";
  reason:
    | "seller"
    | "stream_cancelled"
    | "stream_completed"
    | "nft_burned"
    | "nft_transferred"
    | "ownership_restored"
    | "reorg"
    | null;
  purchasable: boolean;
}

/** A checkout as all may know it; `lapsed`: its time is over at the tip, and nobody has closed it yet. */
export interface PurchaseNow {
  streamId: string;
  buyer: string;
  seller: string | null;
  price: string | null;
  initiatedAt: string;
  expiresAt: string;
  lapsed: boolean;
}

/** A stream and all that hangs on it; `purchase` is the open one. */
export interface StreamDetails {
  stream: StreamNow;
  nfts: Nfts;
  listing: ListingNow | null;
  purchase: PurchaseNow | null;
}

/** A sale, and where it happened. */
export interface SaleTold {
  streamId: string;
  seller: string;
  buyer: string;
  price: string;
  marketplaceFee: string | null;
  sellerProceeds: string | null;
  saleId: string;
  saleType: "direct" | "gateway";
  txHash: string;
  blockHeight: number;
  blockHash: string;
  timestamp: number;
}

/** A proposal at the tip. */
export interface ProposalNow {
  proposalId: string;
  kind: "withdrawal" | "add-admin" | "remove-admin";
  proposer: string | null;
  recipient: string | null;
  amount: string | null;
  description: string | null;
  action: "add" | "remove" | null;
  targetAdmin: string | null;
  approvals: string[];
  approvalCount: string;
  required: string;
  proposedAt: string | null;
  timelockExpires: string | null;
  expiresAt: string | null;
  executed: boolean;
  executedAt: string | null;
  state: "executed" | "expired" | "pending" | "timelocked" | "ready";
}

/** A collected fee, and where it happened. */
export interface FeeTold {
  feeType: "general" | "cancellation" | "marketplace";
  amount: string;
  caller: string;
  newBalance: string;
  streamId: string | null;
  saleId: string | null;
  txHash: string;
  blockHeight: number;
  blockHash: string;
  timestamp: number;
}

export interface ContractView {
  contract: string;
  authorized: boolean;
}

export interface BackendView {
  backend: string;
  authorized: boolean;
}

/** Who may do what. */
export interface AccessDetails {
  protocol: ProtocolView;
  contracts: ContractView[];
  backends: BackendView[];
}

/** A notification; `createdAt` is an ISO 8601 time in UTC, `actionUrl` a path of the application. */
export interface NotificationView {
  id: string;
  address: string;
  type: NotificationType;
  category: "streams" | "marketplace" | "treasury" | "security" | "system";
  priority: "low" | "normal" | "high" | "urgent";
  status: "unread" | "read" | "archived" | "retracted";
  title: string;
  message: string;
  data: Record<string, string | number | null>;
  actionUrl: string | null;
  actionText: string | null;
  eventId: string;
  createdAt: string;
}

/** Notifications, the newest first; `unread` counts all that the address has not read. */
export interface NotificationsAnswer {
  asOf: string;
  tip: Tip;
  data: NotificationView[];
  next: string | null;
  unread: number;
}

/** How many are unread now. */
export interface Marked {
  success: true;
  unread: number;
}

export interface Channels {
  toast: boolean;
  sound: boolean;
  desktop: boolean;
  "e-mail": boolean;
}

/** Where notifications of each category are wanted. */
export interface Preferences {
  streams: Channels;
  marketplace: Channels;
  treasury: Channels;
  security: Channels;
  system: Channels;
}

export interface SomeChannels {
  toast?: boolean;
  sound?: boolean;
  desktop?: boolean;
  "e-mail"?: boolean;
}

/** What shall change. Toasts of `security` cannot be switched off. */
export interface SomePreferences {
  streams?: SomeChannels;
  marketplace?: SomeChannels;
  treasury?: SomeChannels;
  security?: SomeChannels;
  system?: SomeChannels;
}

export interface Problem {
  code: string;
  message: string;
}

/** The body of every refusal. */
export interface Refusal {
  success: false;
  error: Problem;
}

/** A token, and from which cursor on its address's room is to be told. */
export interface Credentials {
  token: string;
  since?: string;
}

/** From which cursor on a room is to be told: a snapshot's `asOf`, or the last cursor that was heard. */
export interface Since {
  since?: string;
}

/** The room of the token's address is joined, until `expiresAt`, unix seconds. */
export interface Authenticated {
  ok: true;
  room: string;
  cursor: string;
  replayed: number;
  complete: boolean;
  address: string;
  expiresAt: number;
}

/** The room is joined. `complete` false: `since` could not be resumed, so fetch the room's snapshot. */
export interface Joined {
  ok: true;
  room: string;
  cursor: string;
  replayed: number;
  complete: boolean;
}

/** The room is left. */
export interface Left {
  ok: true;
  room: string;
}

/** Why not. */
export interface Fault {
  code:
    | "UNAUTHENTICATED"
    | "TOKEN_EXPIRED"
    | "FORBIDDEN"
    | "BAD_REQUEST"
    | "TOO_MANY_ROOMS"
    | "RATE_LIMITED"
    | "UNAVAILABLE";
  message: string;
}

/** What was asked is not done. */
export interface Refused {
  ok: false;
  room: string | null;
  error: Fault;
}

/** No fields. */
export type Nothing = Record<string, never>;

/** Rooms of which something was missed that cannot be told any more: fetch their snapshots. */
export interface Resync {
  rooms: string[];
}

/** A refusal of a message that had no acknowledgement function. */
export interface RoomError {
  room: string | null;
  error: Fault;
}

/** Every durable name, and what comes with it; behind it comes the cursor. */
export interface Emissions {
  "stream:created": Envelope<StreamView & ChainFacts, "stream-created", "sender" | "recipient">;
  "stream:updated":
    | Envelope<StreamView & ChainFacts, "created" | "cancelled" | "sender-updated" | "reverted", never>
    | Envelope<StreamDrawn & ChainFacts, "withdrawal", never>
    | Envelope<StreamHandedOver & ChainFacts, "sender-updated", never>
    | Envelope<StreamGone & ChainFacts, "reverted", never>;
  "stream:withdrawal": Envelope<Withdrawn & ChainFacts, "stream-withdrawal", "sender" | "recipient">;
  "stream:cancelled": Envelope<Cancelled & ChainFacts, "stream-cancelled", "sender" | "recipient">;
  "stream:sender-updated": Envelope<
    SenderUpdated & ChainFacts,
    "stream-sender-updated",
    "old-sender" | "new-sender" | "recipient"
  >;
  "nft:minted": Envelope<NftOwned & ChainFacts, "obligation-minted" | "recipient-nft-minted", "owner">;
  "nft:transferred": Envelope<NftMoved & ChainFacts, "obligation-transferred", "sender">;
  "nft:received": Envelope<NftMoved & ChainFacts, "obligation-transferred", "recipient">;
  "nft:burned": Envelope<NftOwned & ChainFacts, "obligation-nft-burned" | "recipient-nft-burned", "owner">;
  "marketplace:new-listing": FlatEnvelope<
    ListingView & ChainFacts,
    "nft-listed" | "listing-restored" | "reverted",
    "seller"
  >;
  "marketplace:listing-updated":
    | FlatEnvelope<ListingRepriced & ChainFacts, "listing-price-updated", "seller" | "buyer">
    | FlatEnvelope<ListingView & ChainFacts, "purchase-initiated" | "purchase-expired", never>
    | FlatEnvelope<ListingView & ChainFacts, "reverted", "seller">;
  "marketplace:listing-cancelled":
    | FlatEnvelope<ListingView & ChainFacts, "listing-cancelled" | "reverted", "seller">
    | FlatEnvelope<ListingView & ChainFacts, "listing-auto-cancelled", "seller" | "buyer">;
  "marketplace:sale":
    | FlatEnvelope<SaleView & ChainFacts, "sale-completed", never>
    | FlatEnvelope<PrivateSale & ChainFacts, "purchase-completed", "buyer">
    | FlatEnvelope<PrivateSale & ChainFacts, "sale-completed", "seller">;
  "marketplace:purchase-initiated": FlatEnvelope<
    PurchaseInitiated & ChainFacts,
    "purchase-initiated",
    "buyer" | "seller"
  >;
  "marketplace:purchase-expired": FlatEnvelope<PurchaseExpired & ChainFacts, "purchase-expired", "buyer" | "seller">;
  "marketplace:config-updated": FlatEnvelope<MarketFeeUpdated & ChainFacts, "fee-updated", never>;
  "treasury:fee-collected": FlatEnvelope<
    FeeView & ChainFacts,
    "fee-collected" | "cancellation-fee-collected" | "marketplace-fee-collected",
    never
  >;
  "treasury:balance-updated": FlatEnvelope<
    BalanceView & ChainFacts,
    | "fee-collected"
    | "cancellation-fee-collected"
    | "marketplace-fee-collected"
    | "withdrawal"
    | "distribution"
    | "withdrawal-executed"
    | "reverted",
    never
  >;
  "treasury:withdrawal": FlatEnvelope<Payout & ChainFacts, "withdrawal", "recipient" | "admin">;
  "treasury:distribution": FlatEnvelope<Distribution & ChainFacts, "distribution", "recipient" | "admin">;
  "treasury:config-updated": FlatEnvelope<TreasuryFeeUpdated & ChainFacts, "fee-updated", "admin">;
  "treasury:admin-transfer":
    | FlatEnvelope<AdminTransfer & ChainFacts, "admin-transfer-proposed", "current-admin" | "new-admin" | "admin">
    | FlatEnvelope<TransferCompleted & ChainFacts, "admin-transfer-completed", "old-admin" | "new-admin" | "admin">
    | FlatEnvelope<TransferCancelled & ChainFacts, "admin-transfer-cancelled", "current-admin" | "new-admin" | "admin">;
  "treasury:proposal-created": FlatEnvelope<ProposalView & ChainFacts, "withdrawal-proposed", "admin" | "proposer">;
  "treasury:proposal-approved": FlatEnvelope<
    ProposalApproved & ChainFacts,
    "withdrawal-approved",
    "approver" | "proposer"
  >;
  "treasury:proposal-ready": FlatEnvelope<ProposalReady & ChainFacts, "proposal-ready", "proposer">;
  "treasury:proposal-executed": FlatEnvelope<
    WithdrawalExecuted & ChainFacts,
    "withdrawal-executed",
    "recipient" | "admin" | "proposer"
  >;
  "treasury:admin-proposal-created": FlatEnvelope<
    ProposalView & ChainFacts,
    "add-admin-proposed" | "remove-admin-proposed",
    "target" | "admin" | "proposer"
  >;
  "treasury:admin-proposal-approved": FlatEnvelope<
    ProposalApproved & ChainFacts,
    "admin-proposal-approved",
    "approver" | "proposer"
  >;
  "treasury:admin-proposal-executed": FlatEnvelope<
    AdminProposalExecuted & ChainFacts,
    "admin-proposal-executed",
    "admin" | "proposer"
  >;
  "treasury:admin-added": FlatEnvelope<AdminChanged & ChainFacts, "admin-added", "target">;
  "treasury:admin-removed": FlatEnvelope<AdminChanged & ChainFacts, "admin-removed", "target">;
  "access-control:role-changed":
    | Envelope<AdminAdded & ChainFacts, "admin-added", "target">
    | Envelope<AdminRemoved & ChainFacts, "admin-removed", "target">
    | Envelope<OperatorAdded & ChainFacts, "operator-added", "target">
    | Envelope<OperatorRemoved & ChainFacts, "operator-removed", "target">;
  "access-control:contract":
    | Envelope<ContractAuthorized & ChainFacts, "contract-authorized", "admin">
    | Envelope<ContractRevoked & ChainFacts, "contract-revoked", "admin">;
  "access-control:admin-transfer": Envelope<
    AdminTransfer & ChainFacts,
    "admin-transfer-initiated" | "admin-transfer-completed",
    "current-admin" | "new-admin"
  >;
  "access-control:backend": Envelope<BackendChanged & ChainFacts, "backend-authorized" | "backend-deauthorized", never>;
  "access-control:protocol":
    | Envelope<Paused & ChainFacts, "protocol-paused", never>
    | Envelope<Unpaused & ChainFacts, "protocol-unpaused", never>
    | Envelope<PauseView & ChainFacts, "reverted", never>;
  "chain:reverted": Envelope<Reverted & ChainFacts, "reverted", Role>;
  "notification:new": Envelope<NotificationPushed & ChainFacts, NotificationType, never>;
  "notification:retracted": Envelope<NotificationRetracted & ChainFacts, NotificationType, never>;
}

/** Every durable name. */
export const EMISSION_NAMES = [
  "stream:created",
  "stream:updated",
  "stream:withdrawal",
  "stream:cancelled",
  "stream:sender-updated",
  "nft:minted",
  "nft:transferred",
  "nft:received",
  "nft:burned",
  "marketplace:new-listing",
  "marketplace:listing-updated",
  "marketplace:listing-cancelled",
  "marketplace:sale",
  "marketplace:purchase-initiated",
  "marketplace:purchase-expired",
  "marketplace:config-updated",
  "treasury:fee-collected",
  "treasury:balance-updated",
  "treasury:withdrawal",
  "treasury:distribution",
  "treasury:config-updated",
  "treasury:admin-transfer",
  "treasury:proposal-created",
  "treasury:proposal-approved",
  "treasury:proposal-ready",
  "treasury:proposal-executed",
  "treasury:admin-proposal-created",
  "treasury:admin-proposal-approved",
  "treasury:admin-proposal-executed",
  "treasury:admin-added",
  "treasury:admin-removed",
  "access-control:role-changed",
  "access-control:contract",
  "access-control:admin-transfer",
  "access-control:backend",
  "access-control:protocol",
  "chain:reverted",
  "notification:new",
  "notification:retracted",
] as const;

/** What an operator or another service says, under a name of its own: no event of the chain, and no facts of it. */
export type Broadcast = Envelope<Record<string, unknown>>;

/** Every event of the chain. */
export const EVENT_NAMES = [
  "stream-created",
  "stream-withdrawal",
  "stream-cancelled",
  "stream-sender-updated",
  "market-nft-listed",
  "market-listing-price-updated",
  "market-listing-cancelled",
  "market-direct-purchase-completed",
  "market-purchase-initiated",
  "market-gateway-purchase-completed",
  "market-purchase-expired",
  "market-backend-authorized",
  "market-backend-deauthorized",
  "market-marketplace-fee-updated",
  "treasury-fee-collected",
  "treasury-cancellation-fee-collected",
  "treasury-marketplace-fee-collected",
  "treasury-withdrawal",
  "treasury-distribution",
  "treasury-fee-updated",
  "treasury-admin-transfer-proposed",
  "treasury-admin-transfer-completed",
  "treasury-admin-transfer-cancelled",
  "treasury-withdrawal-proposed",
  "treasury-withdrawal-approved",
  "treasury-withdrawal-executed",
  "treasury-add-admin-proposed",
  "treasury-remove-admin-proposed",
  "treasury-admin-proposal-approved",
  "treasury-admin-proposal-executed",
  "access-admin-added",
  "access-admin-removed",
  "access-operator-added",
  "access-operator-removed",
  "access-contract-authorized",
  "access-contract-revoked",
  "access-protocol-paused",
  "access-protocol-unpaused",
  "access-admin-transfer-initiated",
  "access-admin-transfer-completed",
  "obligation-minted",
  "obligation-transferred",
  "nft-burn",
  "nft-mint",
] as const;

/** What a node says besides; only `system:cursor` has a cursor behind it. */
export interface Signals {
  /** Nothing was said to this connection for a while; behind it comes the cursor. */
  "system:cursor": Nothing;
  /** Something was missed that cannot be told any more. */
  "system:resync": Resync;
  /** The token has expired: the address's room is left, public rooms are kept. */
  "system:auth-expired": Nothing;
  /** A message without an acknowledgement function was refused. */
  "room:error": RoomError;
}

/** What is true as of a cursor: join the room with `since` this, and nothing falls between. */
export interface Snapshot<Data> {
  asOf: string;
  tip: Tip;
  data: Data;
}

/** A part of a list, the newest first; `next` is the `after` of the part that follows, null at the end. */
export interface Page<Item> extends Snapshot<Item[]> {
  next: string | null;
}

/** GET /api/streams: Streams, by id. */
export type StreamsSnapshot = Page<StreamNow>;

/** GET /api/streams/{id}: One stream and all that hangs on it. */
export type StreamSnapshot = Snapshot<StreamDetails>;

/** GET /api/marketplace: The marketplace's fee and totals. */
export type MarketplaceSnapshot = Snapshot<MarketView>;

/** GET /api/marketplace/listings: Offers, by stream. */
export type ListingsSnapshot = Page<ListingNow>;

/** GET /api/marketplace/sales: Sales, by id. */
export type SalesSnapshot = Page<SaleTold>;

/** GET /api/treasury: The treasury's balance, fee and admins. */
export type TreasurySnapshot = Snapshot<TreasuryView>;

/** GET /api/treasury/proposals: Proposals of the treasury's admins, by id. */
export type ProposalsSnapshot = Page<ProposalNow>;

/** GET /api/treasury/fees: Collected fees, by place on the chain. */
export type FeesSnapshot = Page<FeeTold>;

/** GET /api/access-control: Whether all is paused, and who may do what. */
export type AccessControlSnapshot = Snapshot<AccessDetails>;

/** What each route answers with status 200. */
export interface Answers {
  "GET /api/streams": StreamsSnapshot;
  "GET /api/streams/{id}": StreamSnapshot;
  "GET /api/marketplace": MarketplaceSnapshot;
  "GET /api/marketplace/listings": ListingsSnapshot;
  "GET /api/marketplace/sales": SalesSnapshot;
  "GET /api/treasury": TreasurySnapshot;
  "GET /api/treasury/proposals": ProposalsSnapshot;
  "GET /api/treasury/fees": FeesSnapshot;
  "GET /api/access-control": AccessControlSnapshot;
  "GET /api/notifications": NotificationsAnswer;
  "POST /api/notifications/{id}/mark-read": Marked;
  "POST /api/notifications/{id}/archive": Marked;
  "POST /api/notifications/mark-all-read": Marked;
  "GET /api/notifications/preferences": Preferences;
  "POST /api/notifications/preferences": Preferences;
}

/** What a client may say; the last argument is a function that takes the answer. */
export interface ClientMessages {
  /** Show a token, to become its address or to renew it. */
  "authenticate": { arguments: [options: Credentials]; answer: Authenticated | Refused };
  /** Join the room of the token's address. */
  "join-user-room": { arguments: [target?: string, options?: Since]; answer: Joined | Refused };
  /** Join the room of a stream, by its id. */
  "join-stream-room": { arguments: [target: string | number, options?: Since]; answer: Joined | Refused };
  /** Join the marketplace's room. */
  "join-marketplace": { arguments: [options?: Since]; answer: Joined | Refused };
  /** Join the treasury's room. */
  "join-treasury": { arguments: [options?: Since]; answer: Joined | Refused };
  /** Join access control's room. */
  "join-access-control": { arguments: [options?: Since]; answer: Joined | Refused };
  /** Leave the room of the token's address. */
  "leave-user-room": { arguments: [target?: string]; answer: Left | Refused };
  /** Leave the room of a stream, by its id. */
  "leave-stream-room": { arguments: [target: string | number]; answer: Left | Refused };
  /** Leave the marketplace's room. */
  "leave-marketplace": { arguments: []; answer: Left | Refused };
  /** Leave the treasury's room. */
  "leave-treasury": { arguments: []; answer: Left | Refused };
  /** Leave access control's room. */
  "leave-access-control": { arguments: []; answer: Left | Refused };
}
