/** What the server says. Made by `python -m deploy.typescript` from the server's own types: do not edit. */
/* eslint-disable */

/** Where an emission belongs in the one order of all (`offset`), what it is of, and how it came to be said. */
export interface Meta {
  v: 1;
  offset: string;
  /** The event's identity: the same in every room and on every redelivery. */
  id: string;
  room: string;
  op: "apply" | "rollback" | "broadcast";
  event: string | null;
  contract: string | null;
  txIndex: number | null;
  eventIndex: number | null;
  /** The same was said before and rolled back since. */
  reapplied: boolean;
  /** Something that comes after it on the chain had been told before. */
  late: boolean;
}

export interface Envelope<Data> {
  type: string;
  role?: string;
  data: Data;
  meta: Meta;
}

/** Names of the marketplace and the treasury have every key of `data` at the top level too. */
export type FlatEnvelope<Data> = Envelope<Data> & Data;

/** A snapshot: `asOf` is the cursor to join with, `tip` the block that derived values are true at. */
export interface Snapshot<Data> {
  asOf: string;
  tip: Tip;
  data: Data;
}

/** One page of a list; `next` is what `after` takes, null at the end. */
export interface Page<Data> extends Snapshot<Data[]> {
  next: string | null;
}

export interface AccessAdminTransfer {
  blockHash: string;
  blockHeight: number;
  currentAdmin: string;
  newAdmin: string;
  timestamp: number;
  txHash: string;
}

export interface AdminProposalExecuted {
  action: string | null;
  activeAdminCount: string;
  approvalCount: string;
  blockHash: string;
  blockHeight: number;
  executedAt: string | null;
  executor: string | null;
  kind: string;
  proposalId: string;
  required: string;
  targetAdmin: string | null;
  timestamp: number;
  txHash: string;
}

export interface BackendChanged {
  authorized: boolean;
  backend: string;
  blockHash: string;
  blockHeight: number;
  by: string | null;
  timestamp: number;
  txHash: string;
}

/** `change` is signed. */
export interface BalanceUpdated {
  blockHash: string;
  blockHeight: number;
  change: string;
  newBalance: string;
  previousBalance: string;
  reason: string;
  timestamp: number;
  txHash: string;
}

/** Where on the chain it happened; `timestamp` in unix seconds. */
export interface ChainFacts {
  blockHash: string;
  blockHeight: number;
  timestamp: number;
  txHash: string;
}

export interface Channels {
  desktop: boolean;
  "e-mail": boolean;
  sound: boolean;
  toast: boolean;
}

export interface ContractChanged {
  authorizedBy?: string;
  blockHash: string;
  blockHeight: number;
  contract?: string;
  revokedBy?: string;
  timestamp: number;
  txHash: string;
}

/** A fee that reached the treasury. */
export interface FeeCollected {
  amount: string;
  blockHash: string;
  blockHeight: number;
  caller: string;
  feeType: string;
  newBalance: string;
  saleId: string | null;
  streamId: string | null;
  timestamp: number;
  txHash: string;
}

/** A collected fee, and where it happened. */
export interface FeeTold {
  amount: string;
  blockHash: string;
  blockHeight: number;
  caller: string;
  feeType: string;
  newBalance: string;
  saleId: string | null;
  streamId: string | null;
  timestamp: number;
  txHash: string;
}

export interface FeeView {
  amount: string;
  caller: string;
  feeType: string;
  newBalance: string;
  saleId: string | null;
  streamId: string | null;
}

/** A listing at the tip; `purchasable`: anyone may buy now. */
export interface ListingNow {
  listedAt: string | null;
  price: string | null;
  purchasable: boolean;
  reason: string | null;
  seller: string | null;
  status: string;
  streamId: string;
}

/** The listing as it is now. */
export interface ListingTold {
  blockHash: string;
  blockHeight: number;
  listedAt: string | null;
  price: string | null;
  reason: string | null;
  seller: string | null;
  status: string;
  streamId: string;
  timestamp: number;
  txHash: string;
}

/** The listing as it is now; a new price says both. */
export interface ListingUpdated {
  blockHash: string;
  blockHeight: number;
  listedAt: string | null;
  newPrice?: string;
  oldPrice?: string;
  price: string | null;
  reason: string | null;
  seller: string | null;
  status: string;
  streamId: string;
  timestamp: number;
  txHash: string;
}

export interface ListingView {
  listedAt: string | null;
  price: string | null;
  reason: string | null;
  seller: string | null;
  status: string;
  streamId: string;
}

export interface MarketConfigUpdated {
  blockHash: string;
  blockHeight: number;
  newFeeBps: string;
  oldFeeBps: string;
  timestamp: number;
  txHash: string;
  updatedBy: string | null;
}

export interface MarketView {
  feeBps: string;
  totalListings: string;
  totalSales: string;
  totalVolume: string;
}

/** The obligation went to another owner. */
export interface NftMoved {
  blockHash: string;
  blockHeight: number;
  from: string;
  nft: string;
  streamId: string;
  streamSender: string | null;
  syncRequired: boolean;
  timestamp: number;
  to: string;
  tokenId: string;
  txHash: string;
}

export interface NftOwned {
  blockHash: string;
  blockHeight: number;
  nft: string;
  owner: string | null;
  streamId: string;
  timestamp: number;
  tokenId: string;
  txHash: string;
}

export interface NftView {
  owner: string | null;
  status: string;
}

/** Notifications, the newest first; `unread` counts all that the address has not read. */
export interface NotificationList {
  asOf: string;
  data: NotificationView[];
  next: string | null;
  tip: Tip;
  unread: number;
}

/** A notification, and how many its address has not read. */
export interface NotificationNew {
  actionText: string | null;
  actionUrl: string | null;
  address: string;
  blockHash: string;
  blockHeight: number;
  category: "marketplace" | "security" | "streams" | "system" | "treasury";
  createdAt: string;
  data: Record<string, string | number | null>;
  eventId: string;
  id: string;
  message: string;
  priority: "high" | "low" | "normal" | "urgent";
  status: "archived" | "read" | "retracted" | "unread";
  timestamp: number;
  title: string;
  txHash: string;
  type: string;
  unread: string;
}

export interface NotificationRetracted {
  blockHash: string;
  blockHeight: number;
  id: string;
  timestamp: number;
  txHash: string;
  unread: string;
}

/** A notification; `createdAt` is an ISO 8601 time in UTC, `actionUrl` a path of the application. */
export interface NotificationView {
  actionText: string | null;
  actionUrl: string | null;
  address: string;
  category: "marketplace" | "security" | "streams" | "system" | "treasury";
  createdAt: string;
  data: Record<string, string | number | null>;
  eventId: string;
  id: string;
  message: string;
  priority: "high" | "low" | "normal" | "urgent";
  status: "archived" | "read" | "retracted" | "unread";
  title: string;
  type: string;
}

/** The obligation NFT; `syncRequired`: it has another owner than the stream has a payer. */
export interface ObligationNow {
  owner: string | null;
  status: string;
  syncRequired: boolean;
}

/** Where notifications of each category are wanted. */
export interface Preferences {
  marketplace: Channels;
  security: Channels;
  streams: Channels;
  system: Channels;
  treasury: Channels;
}

export interface ProposalApproved {
  approvalCount: string;
  approver: string;
  blockHash: string;
  blockHeight: number;
  kind: string;
  proposalId: string;
  proposer: string | null;
  ready: boolean;
  required: string;
  timestamp: number;
  txHash: string;
}

/** The proposal as it is now. */
export interface ProposalCreated {
  action: "add" | "remove" | null;
  amount: string | null;
  approvalCount: string;
  approvals: string[];
  blockHash: string;
  blockHeight: number;
  description: string | null;
  executed: boolean;
  executedAt: string | null;
  expiresAt: string | null;
  kind: string;
  proposalId: string;
  proposedAt: string | null;
  proposer: string | null;
  recipient: string | null;
  required: string;
  targetAdmin: string | null;
  timelockExpires: string | null;
  timestamp: number;
  txHash: string;
}

export interface ProposalExecuted {
  amount: string | null;
  approvalCount: string;
  blockHash: string;
  blockHeight: number;
  executedAt: string | null;
  executor: string | null;
  kind: string;
  newBalance: string;
  proposalId: string;
  recipient: string | null;
  timestamp: number;
  txHash: string;
}

/** A proposal at the tip. */
export interface ProposalNow {
  action: "add" | "remove" | null;
  amount: string | null;
  approvalCount: string;
  approvals: string[];
  description: string | null;
  executed: boolean;
  executedAt: string | null;
  expiresAt: string | null;
  kind: string;
  proposalId: string;
  proposedAt: string | null;
  proposer: string | null;
  recipient: string | null;
  required: string;
  state: "executed" | "expired" | "pending" | "ready" | "timelocked";
  targetAdmin: string | null;
  timelockExpires: string | null;
}

export interface ProposalReady {
  approvalCount: string;
  blockHash: string;
  blockHeight: number;
  expiresAt: string | null;
  kind: string;
  proposalId: string;
  proposer: string | null;
  required: string;
  timelockExpires: string | null;
  timestamp: number;
  txHash: string;
}

export interface ProposalView {
  action: "add" | "remove" | null;
  amount: string | null;
  approvalCount: string;
  approvals: string[];
  description: string | null;
  executed: boolean;
  executedAt: string | null;
  expiresAt: string | null;
  kind: string;
  proposalId: string;
  proposedAt: string | null;
  proposer: string | null;
  recipient: string | null;
  required: string;
  targetAdmin: string | null;
  timelockExpires: string | null;
}

export interface ProtocolChanged {
  blockHash: string;
  blockHeight: number;
  paused?: boolean;
  pausedAt?: string;
  pausedBy?: string;
  timestamp: number;
  txHash: string;
  unpausedAt?: string;
  unpausedBy?: string;
}

export interface ProtocolView {
  admins: string[];
  operators: string[];
  paused: boolean;
  pendingAdmin: string | null;
}

export interface PurchaseExpired {
  blockHash: string;
  blockHeight: number;
  buyer: string;
  expiresAt: string | null;
  paymentId: string | null;
  price: string | null;
  seller: string | null;
  streamId: string;
  timestamp: number;
  txHash: string;
}

export interface PurchaseInitiated {
  blockHash: string;
  blockHeight: number;
  buyer: string;
  expiresAt: string;
  initiatedAt: string;
  paymentId: string | null;
  price: string | null;
  seller: string | null;
  streamId: string;
  timestamp: number;
  txHash: string;
}

/** A checkout as all may know it; `lapsed`: its time is over at the tip, and nobody has closed it yet. */
export interface PurchaseNow {
  buyer: string;
  expiresAt: string;
  initiatedAt: string;
  lapsed: boolean;
  price: string | null;
  seller: string | null;
  streamId: string;
}

/** An event that the chain took back, and the names under which this room had heard of it. */
export interface Reverted {
  blockHash: string;
  blockHeight: number;
  contract: string;
  event: string;
  names: string[];
  proposalId: string | null;
  state: State;
  streamId: string | null;
  timestamp: number;
  txHash: string;
}

/** One principal, and who did it. */
export interface RoleChanged {
  addedBy?: string;
  admin?: string;
  blockHash: string;
  blockHeight: number;
  operator?: string;
  removedBy?: string;
  timestamp: number;
  txHash: string;
}

/** A sale; `paymentId` to buyer and seller alone. */
export interface SaleCompleted {
  blockHash: string;
  blockHeight: number;
  buyer: string;
  marketplaceFee: string | null;
  paymentId?: string | null;
  price: string;
  saleId: string;
  saleType: string;
  seller: string;
  sellerProceeds: string | null;
  streamId: string;
  timestamp: number;
  txHash: string;
}

/** A sale, and where it happened. */
export interface SaleTold {
  blockHash: string;
  blockHeight: number;
  buyer: string;
  marketplaceFee: string | null;
  price: string;
  saleId: string;
  saleType: string;
  seller: string;
  sellerProceeds: string | null;
  streamId: string;
  timestamp: number;
  txHash: string;
}

export interface SaleView {
  buyer: string;
  marketplaceFee: string | null;
  price: string;
  saleId: string;
  saleType: string;
  seller: string;
  sellerProceeds: string | null;
  streamId: string;
}

export interface SomeChannels {
  desktop?: boolean;
  "e-mail"?: boolean;
  sound?: boolean;
  toast?: boolean;
}

/** What shall change. Toasts of `security` cannot be switched off. */
export interface SomePreferences {
  marketplace?: SomeChannels;
  security?: SomeChannels;
  streams?: SomeChannels;
  system?: SomeChannels;
  treasury?: SomeChannels;
}

/** What is true after a rollback, of the aggregates that the event belonged to; null: it does not exist any more. */
export interface State {
  listing?: ListingView | null;
  market?: MarketView;
  proposal?: ProposalView | null;
  protocol?: ProtocolView;
  stream?: StreamView | null;
  treasury?: TreasuryView;
}

export interface StreamCancelled {
  blockHash: string;
  blockHeight: number;
  cancellationFee: string;
  cancelledAtBlock: string;
  recipient: string | null;
  sender: string | null;
  streamId: string;
  timestamp: number;
  totalPaid: string;
  txHash: string;
  unvestedReturned: string;
  vestedPaid: string;
}

/** The stream as it began. */
export interface StreamCreated {
  amount: string | null;
  blockHash: string;
  blockHeight: number;
  cancellationFee: string | null;
  cancelledAtBlock: string | null;
  endBlock: string | null;
  recipient: string | null;
  remaining: string | null;
  sender: string | null;
  startBlock: string | null;
  status: string;
  streamId: string;
  timestamp: number;
  totalPaid: string;
  txHash: string;
  unvestedReturned: string | null;
  vestedPaid: string | null;
  withdrawn: string;
}

/** The chain took back what made the stream. */
export interface StreamGone {
  blockHash: string;
  blockHeight: number;
  status: "reverted";
  streamId: string;
  timestamp: number;
  txHash: string;
}

/** A stream at the tip. */
export interface StreamNow {
  amount: string | null;
  cancellationFee: string | null;
  cancelledAtBlock: string | null;
  endBlock: string | null;
  phase: "ended" | "scheduled" | "streaming" | null;
  recipient: string | null;
  remaining: string | null;
  sender: string | null;
  startBlock: string | null;
  status: string;
  streamId: string;
  totalPaid: string;
  unvestedReturned: string | null;
  vested: string | null;
  vestedPaid: string | null;
  withdrawable: string | null;
  withdrawn: string;
}

export interface StreamSenderUpdated {
  blockHash: string;
  blockHeight: number;
  newSender: string;
  oldSender: string;
  recipient: string | null;
  saleId: string | null;
  streamId: string;
  timestamp: number;
  transferType: string;
  txHash: string;
}

/** The stream as it is now: replace what you have. What changed it may add a word. */
export interface StreamUpdated {
  amount: string | null;
  blockHash: string;
  blockHeight: number;
  cancellationFee: string | null;
  cancelledAtBlock: string | null;
  endBlock: string | null;
  newSender?: string;
  oldSender?: string;
  recipient: string | null;
  remaining: string | null;
  sender: string | null;
  startBlock: string | null;
  status: string;
  streamId: string;
  timestamp: number;
  totalPaid: string;
  transferType?: string;
  txHash: string;
  unvestedReturned: string | null;
  vestedPaid: string | null;
  withdrawalAmount?: string;
  withdrawn: string;
}

export interface StreamView {
  amount: string | null;
  cancellationFee: string | null;
  cancelledAtBlock: string | null;
  endBlock: string | null;
  recipient: string | null;
  remaining: string | null;
  sender: string | null;
  startBlock: string | null;
  status: string;
  streamId: string;
  totalPaid: string;
  unvestedReturned: string | null;
  vestedPaid: string | null;
  withdrawn: string;
}

/** `amount` is this withdrawal's. */
export interface StreamWithdrawal {
  amount: string;
  blockHash: string;
  blockHeight: number;
  completed: boolean;
  recipient: string | null;
  remaining: string | null;
  sender: string | null;
  status: string;
  streamAmount: string | null;
  streamId: string;
  timestamp: number;
  totalWithdrawn: string;
  txHash: string;
}

/** The block that the chain is told up to; `timestamp` in unix seconds, null when that block is not known. */
export interface Tip {
  blockHeight: number;
  timestamp: number | null;
}

export interface TreasuryAdminChanged {
  activeAdminCount: string;
  admin: string;
  blockHash: string;
  blockHeight: number;
  proposalId: string;
  required: string;
  timestamp: number;
  txHash: string;
}

/** `currentAdmin` when proposed, `oldAdmin` when completed, `cancelledBy` when cancelled. */
export interface TreasuryAdminTransfer {
  blockHash: string;
  blockHeight: number;
  cancelledBy?: string | null;
  currentAdmin?: string;
  newAdmin?: string | null;
  oldAdmin?: string;
  timestamp: number;
  txHash: string;
}

export interface TreasuryConfigUpdated {
  admin: string | null;
  blockHash: string;
  blockHeight: number;
  newFeeBps: string;
  oldFeeBps: string;
  timestamp: number;
  txHash: string;
}

export interface TreasuryDistribution {
  admin: string;
  amount: string;
  blockHash: string;
  blockHeight: number;
  newBalance: string;
  recipient: string;
  recipientTotal: string;
  timestamp: number;
  txHash: string;
}

export interface TreasuryView {
  activeAdminCount: string;
  admin: string | null;
  admins: string[];
  balance: string;
  feeBps: string;
  pendingAdmin: string | null;
  required: string;
  totalFees: string;
}

export interface TreasuryWithdrawal {
  admin: string;
  amount: string;
  blockHash: string;
  blockHeight: number;
  newBalance: string;
  recipient: string;
  timestamp: number;
  txHash: string;
}

/** Every name on the wire, and what comes under it. */
export interface Emissions {
  "stream:created": Envelope<StreamCreated>;
  "stream:updated": Envelope<StreamUpdated | StreamGone>;
  "stream:withdrawal": Envelope<StreamWithdrawal>;
  "stream:cancelled": Envelope<StreamCancelled>;
  "stream:sender-updated": Envelope<StreamSenderUpdated>;
  "nft:minted": Envelope<NftOwned>;
  "nft:transferred": Envelope<NftMoved>;
  "nft:received": Envelope<NftMoved>;
  "nft:burned": Envelope<NftOwned>;
  "marketplace:new-listing": FlatEnvelope<ListingTold>;
  "marketplace:listing-updated": FlatEnvelope<ListingUpdated>;
  "marketplace:listing-cancelled": FlatEnvelope<ListingTold>;
  "marketplace:sale": FlatEnvelope<SaleCompleted>;
  "marketplace:purchase-initiated": FlatEnvelope<PurchaseInitiated>;
  "marketplace:purchase-expired": FlatEnvelope<PurchaseExpired>;
  "marketplace:config-updated": FlatEnvelope<MarketConfigUpdated>;
  "treasury:fee-collected": FlatEnvelope<FeeCollected>;
  "treasury:balance-updated": FlatEnvelope<BalanceUpdated>;
  "treasury:withdrawal": FlatEnvelope<TreasuryWithdrawal>;
  "treasury:distribution": FlatEnvelope<TreasuryDistribution>;
  "treasury:config-updated": FlatEnvelope<TreasuryConfigUpdated>;
  "treasury:admin-transfer": FlatEnvelope<TreasuryAdminTransfer>;
  "treasury:proposal-created": FlatEnvelope<ProposalCreated>;
  "treasury:proposal-approved": FlatEnvelope<ProposalApproved>;
  "treasury:proposal-ready": FlatEnvelope<ProposalReady>;
  "treasury:proposal-executed": FlatEnvelope<ProposalExecuted>;
  "treasury:admin-proposal-created": FlatEnvelope<ProposalCreated>;
  "treasury:admin-proposal-approved": FlatEnvelope<ProposalApproved>;
  "treasury:admin-proposal-executed": FlatEnvelope<AdminProposalExecuted>;
  "treasury:admin-added": FlatEnvelope<TreasuryAdminChanged>;
  "treasury:admin-removed": FlatEnvelope<TreasuryAdminChanged>;
  "access-control:backend": Envelope<BackendChanged>;
  "access-control:role-changed": Envelope<RoleChanged>;
  "access-control:contract": Envelope<ContractChanged>;
  "access-control:protocol": Envelope<ProtocolChanged>;
  "access-control:admin-transfer": Envelope<AccessAdminTransfer>;
  "chain:reverted": Envelope<Reverted>;
  "notification:new": Envelope<NotificationNew>;
  "notification:retracted": Envelope<NotificationRetracted>;
}

export type EmissionName = keyof Emissions;
