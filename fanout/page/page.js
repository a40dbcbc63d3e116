/**
 * The live page: what fanout serves at `/`. It knows the public surface only, as any client does:
 * a snapshot over HTTP, rooms and emissions over Socket.IO.
 *
 * What holds here:
 * - An emission counts once. Per room offsets ascend, so what is not newer than the last one seen of its room is dropped.
 * - A stream on the board is never older than what was seen of it: snapshot and emissions meet by offset.
 * - Nothing falls between snapshot and room: a room is joined `since` a cursor, and joined again if it went unanswered.
 * - Amounts are strings of sats and become BigInt, never a float. Text from the wire becomes text nodes, never markup.
 */
import { io } from "./socket.io.js";

const EVENTS_KEPT = 200;
const STREAMS_KEPT = 50; // with ROOMS_AHEAD and four more, well inside the 128 rooms that a connection may have
const ROOMS_AHEAD = 20; // streams that do not exist yet: whoever is in their rooms hears them being created
const SHARED_ROOMS = ["marketplace", "treasury", "access-control"];
const ACK_MS = 10_000;
const RETRY_MS = 2_000;
const POLL_MS = 15_000; // of the snapshot, while the socket is away

const $ = (id) => document.getElementById(id);

// ---------------------------------------------------------------- cursors and offsets

/** `<epoch>.<seq>-<n>` as parts to compare, or null for anything else. */
function parseCursor(text) {
  const parts = /^([0-9a-f]{8})\.(\d{1,19})-(\d{1,9})$/.exec(text);
  return parts && { epoch: parts[1], seq: BigInt(parts[2]), n: BigInt(parts[3]) };
}

/** `<seq>-<n>` as parts to compare, or null for anything else. */
function parseOffset(text) {
  const parts = /^(\d{1,19})-(\d{1,9})$/.exec(text);
  return parts && { seq: BigInt(parts[1]), n: BigInt(parts[2]) };
}

function isNewer(one, other) {
  return !other || one.seq > other.seq || (one.seq === other.seq && one.n > other.n);
}

// ---------------------------------------------------------------- words

const SATS_PER_BTC = 100_000_000n;

function parseInteger(text) {
  return typeof text === "string" && /^-?\d{1,40}$/.test(text) ? BigInt(text) : null;
}

/** Sats, as a decimal string, in sBTC with all eight decimals. */
function sbtc(text) {
  const sats = parseInteger(text);
  if (sats === null) return "?";
  const size = sats < 0n ? -sats : sats;
  const decimals = (size % SATS_PER_BTC).toString().padStart(8, "0");
  return `${sats < 0n ? "−" : ""}${size / SATS_PER_BTC}.${decimals}`;
}

const sats = (text) => `${sbtc(text)} sBTC`;

/** Basis points, as a decimal string, in percent. */
function percent(text) {
  const bps = parseInteger(text);
  return bps === null ? "?" : `${bps / 100n}.${(bps % 100n).toString().padStart(2, "0")} %`;
}

function word(value, otherwise = "?") {
  return typeof value === "string" || Number.isSafeInteger(value) ? String(value).slice(0, 80) : otherwise;
}

/** An address short enough to read, whole in its title. A contract keeps its name. */
function party(value) {
  if (typeof value !== "string" || value === "") return "someone";
  const [address, contract] = value.split(".", 2);
  const short = address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-5)}` : address;
  return element("span", { className: "party", title: value }, contract ? `${short}.${contract.slice(0, 40)}` : short);
}

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** A sentence as parts, so that an address in it can be a node. */
const say = (strings, ...values) => strings.flatMap((text, i) => (i < values.length ? [text, values[i]] : [text]));

const stream = (d) => `Stream ${word(d.streamId)}`;
const proposal = (d) => `Proposal ${word(d.proposalId)}`;
const kindOfNft = (d) => (d.nft === "recipient" ? "recipient NFT" : "obligation NFT");
const reason = (d) => (typeof d.reason === "string" ? ` (${word(d.reason).replaceAll("_", " ")})` : "");
const spaced = (name) => word(name).replaceAll("-", " ");

const SENTENCES = {
  "stream:created": (d) => say`${stream(d)}: ${sats(d.amount)} from ${party(d.sender)} to ${party(d.recipient)}`,
  "stream:updated": (d, type) => {
    if (d.status === "reverted") return say`${stream(d)} is no longer on the chain`;
    const now = say`${sbtc(d.withdrawn)} of ${sats(d.amount)} withdrawn, ${word(d.status)}`;
    if (type === "created")
      return say`${stream(d)} created: ${sats(d.amount)} from ${party(d.sender)} to ${party(d.recipient)}`;
    return [type === "reverted" ? `${stream(d)} is back to ` : `${stream(d)} now: `, ...now];
  },
  "stream:withdrawal": (d) => say`${stream(d)}: ${sats(d.amount)} withdrawn`,
  "stream:cancelled": (d) => say`${stream(d)}: cancelled, ${sats(d.unvestedReturned)} returned to the sender`,
  "stream:sender-updated": (d) => say`${stream(d)}: paid by ${party(d.newSender)} instead of ${party(d.oldSender)}`,
  "nft:minted": (d) => say`${stream(d)}: ${kindOfNft(d)} minted for ${party(d.owner)}`,
  "nft:transferred": (d) => say`${stream(d)}: ${kindOfNft(d)} moved from ${party(d.from)} to ${party(d.to)}`,
  "nft:received": (d) => say`${stream(d)}: ${kindOfNft(d)} received by ${party(d.to)}`,
  "nft:burned": (d) => say`${stream(d)}: ${kindOfNft(d)} burned by ${party(d.owner)}`,
  "marketplace:new-listing": (d) => say`${stream(d)}: listed for ${sats(d.price)} by ${party(d.seller)}${reason(d)}`,
  "marketplace:listing-updated": (d, type) => {
    if (type === "purchase-initiated") return say`${stream(d)}: reserved by a buyer for ${sats(d.price)}`;
    if (type === "purchase-expired") return say`${stream(d)}: purchase expired, for sale again at ${sats(d.price)}`;
    return say`${stream(d)}: now offered for ${sats(d.price)}${reason(d)}`;
  },
  "marketplace:listing-cancelled": (d) => say`${stream(d)}: no longer for sale${reason(d)}`,
  "marketplace:sale": (d) => say`${stream(d)}: sold for ${sats(d.price)} to ${party(d.buyer)}`,
  "marketplace:config-updated": (d) => say`Marketplace fee: ${percent(d.newFeeBps)} instead of ${percent(d.oldFeeBps)}`,
  "treasury:fee-collected": (d) => say`Treasury: ${sats(d.amount)} collected, ${word(d.feeType)} fee`,
  "treasury:balance-updated": (d) => say`Treasury now: ${sats(d.newBalance)}, changed by ${sats(d.change)}${reason(d)}`,
  "treasury:withdrawal": (d) => say`Treasury: ${sats(d.amount)} withdrawn for ${party(d.recipient)}`,
  "treasury:distribution": (d) => say`Treasury: ${sats(d.amount)} distributed to ${party(d.recipient)}`,
  "treasury:config-updated": (d) => say`Protocol fee: ${percent(d.newFeeBps)} instead of ${percent(d.oldFeeBps)}`,
  "treasury:admin-transfer": (d, type) =>
    type === "admin-transfer-cancelled"
      ? say`Treasury: hand-over to ${party(d.newAdmin)} dropped`
      : say`Treasury: hand-over to ${party(d.newAdmin)} ${type === "admin-transfer-completed" ? "completed" : "proposed"}`,
  "treasury:proposal-created": (d) => say`${proposal(d)}: ${sats(d.amount)} for ${party(d.recipient)}`,
  "treasury:proposal-approved": (d) =>
    say`${proposal(d)}: approved by ${party(d.approver)}, ${word(d.approvalCount)} of ${word(d.required)}`,
  "treasury:proposal-ready": (d) => say`${proposal(d)}: has all ${word(d.required)} approvals`,
  "treasury:proposal-executed": (d) => say`${proposal(d)}: ${sats(d.amount)} paid to ${party(d.recipient)}`,
  "treasury:admin-proposal-created": (d) =>
    say`${proposal(d)}: ${word(d.action, "change")} admin ${party(d.targetAdmin)}`,
  "treasury:admin-proposal-approved": (d) =>
    say`${proposal(d)}: approved by ${party(d.approver)}, ${word(d.approvalCount)} of ${word(d.required)}`,
  "treasury:admin-proposal-executed": (d) =>
    say`${proposal(d)}: executed, ${word(d.action, "change")} admin ${party(d.targetAdmin)}`,
  "treasury:admin-added": (d) => say`Treasury: ${party(d.admin)} is an admin now`,
  "treasury:admin-removed": (d) => say`Treasury: ${party(d.admin)} is no longer an admin`,
  "access-control:role-changed": (d, type) => say`Access control: ${spaced(type)} ${party(d.admin ?? d.operator)}`,
  "access-control:contract": (d, type) => say`Access control: ${spaced(type)} ${party(d.contract)}`,
  "access-control:backend": (d) =>
    say`Marketplace backend ${party(d.backend)} ${d.authorized ? "authorised" : "no longer authorised"}`,
  "access-control:admin-transfer": (d, type) =>
    say`Access control: hand-over to ${party(d.newAdmin)} ${type === "admin-transfer-completed" ? "completed" : "started"}`,
  "access-control:protocol": (d) => say`The protocol is ${d.paused ? "paused" : "running"}`,
  "chain:reverted": (d) => {
    const about = d.streamId ? stream(d) : d.proposalId ? proposal(d) : "On the chain";
    return say`${about}: “${spaced(d.event)}” undone by a reorganisation`;
  },
};

/** What an emission says to a person. A name that we do not know, as a broadcast may have, stands for itself. */
function sentence(name, payload) {
  return Object.hasOwn(SENTENCES, name) ? SENTENCES[name](payload.data, payload.type) : [word(name)];
}

/** Names that tell what is true now, beside those that tell what happened. They whisper. */
const STATES = new Set(["stream:updated", "treasury:balance-updated"]);

// ---------------------------------------------------------------- the feed of events

const feed = {
  rows: [], // newest first, as in the document
  held: [], // rows that wait while the feed is paused
  paused: false,

  add(row) {
    const list = this.paused ? this.held : this.rows;
    // Rooms are replayed one after another: an emission goes to its place, not simply to the top.
    let place = list.findIndex(
      (other) => row.era > other.era || (row.era === other.era && isNewer(row.offset, other.offset)),
    );
    if (place === -1) place = list.length;
    if (place >= EVENTS_KEPT) return;
    list.splice(place, 0, row);
    const dropped = list.splice(EVENTS_KEPT);
    if (this.paused) {
      this.tellHeld();
    } else {
      $("events").insertBefore(row.node, $("events").children[place] ?? null);
      for (const { node } of dropped) node.remove();
      $("events-empty").hidden = true;
    }
  },

  /** Strike what the chain took back: older rows of the same event. */
  retract(rollback) {
    for (const row of [...this.held, ...this.rows]) {
      const isOlder = row.era < rollback.era || (row.era === rollback.era && isNewer(rollback.offset, row.offset));
      if (row.op === "apply" && row.id === rollback.id && isOlder) row.strike();
    }
  },

  pause(paused) {
    this.paused = paused;
    const held = this.held;
    this.held = [];
    for (const row of held.reverse()) this.add(row);
    this.tellHeld();
  },

  tellHeld() {
    const count = this.held.length >= EVENTS_KEPT ? `${EVENTS_KEPT}+` : this.held.length;
    $("pause").textContent = !this.paused ? "Pause" : this.held.length ? `Resume, ${count} new` : "Resume";
  },
};

/** Which history of the outbox the page is in: rises with each change of epoch, so that rows of an old one stay below. */
let era = 0;

function makeRow(name, payload, offset) {
  const { data, meta } = payload;
  const op = word(meta.op, "apply");
  const text = element("p", { className: "sentence" }, ...sentence(name, payload));
  const tags = element("span", { className: "tags" });
  const tag = (label) => tags.append(element("span", { className: "tag" }, label), " ");
  if (op === "rollback") tag("Reorg");
  if (op === "broadcast") tag("Announcement");
  if (meta.reapplied === true) tag("Mined again");

  const facts = element("p", { className: "facts" });
  facts.append(
    tags,
    element("span", { className: "name" }, word(name)),
    element("span", {}, word(meta.room)),
    element("span", {}, `seq ${offset.seq}`),
  );
  if (Number.isSafeInteger(data.blockHeight)) facts.append(element("span", {}, `block ${data.blockHeight}`));

  const node = element("li", {}, text, clock(data.timestamp), facts);
  Object.assign(node.dataset, {
    name: word(name),
    seq: String(offset.seq),
    streamId: word(data.streamId, ""),
    op,
    type: word(payload.type, ""),
  });
  if (STATES.has(name)) node.classList.add("state");

  const strike = () => {
    if (node.dataset.retracted) return;
    node.dataset.retracted = "true";
    text.replaceChildren(element("s", {}, ...text.childNodes));
    tags.prepend(element("span", { className: "tag" }, "Retracted"), " ");
  };
  return { node, id: meta.id, op, offset, era, strike };
}

/** Block time; the present for what has no block. */
function clock(seconds) {
  const time =
    Number.isSafeInteger(seconds) && seconds > 0 && seconds < 8.64e12 ? new Date(seconds * 1000) : new Date();
  const isToday = time.toDateString() === new Date().toDateString();
  const hours = time.toLocaleTimeString([], { hourCycle: "h23", timeStyle: isToday ? "medium" : "short" });
  const label = isToday ? hours : `${time.toLocaleDateString([], { day: "numeric", month: "short" })}, ${hours}`;
  return element("time", { dateTime: time.toISOString(), title: time.toLocaleString() }, label);
}

// ---------------------------------------------------------------- the board of streams

const STATUS_WORDS = { active: "Active", completed: "Completed", cancelled: "Cancelled" };

const board = {
  cards: new Map(), // id -> {id: BigInt, node, fill(view)}
  told: new Map(), // id -> offset as of which its card, or its absence, holds

  /** Replace a stream by what an emission or a snapshot says of it as of an offset. */
  put(view, offset) {
    const id = view?.streamId;
    if (typeof id !== "string" || !/^(0|[1-9]\d{0,18})$/.test(id) || !isNewer(offset, this.told.get(id))) return;
    this.told.set(id, offset);
    if (view.status === "reverted") this.remove(id);
    else this.card(id).fill(view);
    this.trim();
  },

  /** Take over a snapshot: the newest streams, all of those from its last one on. */
  replace(views, isWhole, asOf) {
    const listed = new Set(views.map((view) => view?.streamId));
    const lowest = isWhole || views.length === 0 ? 0n : (parseInteger(views.at(-1)?.streamId) ?? 0n);
    for (const [id, card] of this.cards) {
      if (!listed.has(id) && card.id >= lowest && isNewer(asOf, this.told.get(id))) this.remove(id);
    }
    for (const view of views) this.put(view, asOf); // after what is gone, or that would crowd it out
  },

  card(id) {
    if (this.cards.has(id)) return this.cards.get(id);
    const card = makeCard(id);
    const after = [...this.cards.values()]
      .filter((other) => other.id < card.id)
      .reduce((a, b) => (a && a.id > b.id ? a : b), null);
    $("streams").insertBefore(card.node, after?.node ?? null);
    this.cards.set(id, card);
    return card;
  },

  remove(id) {
    this.cards.get(id)?.node.remove();
    this.cards.delete(id);
  },

  trim() {
    for (const card of this.newestFirst().slice(STREAMS_KEPT)) {
      this.remove(String(card.id));
      this.told.delete(String(card.id));
    }
  },

  newestFirst() {
    return [...this.cards.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
  },

  /** Rooms to be in: those of the streams shown, and of the next ones to come. */
  rooms() {
    const shown = this.newestFirst().map((card) => card.id);
    const newest = shown[0] ?? 0n;
    const ahead = Array.from({ length: ROOMS_AHEAD }, (_, i) => newest + BigInt(i + 1));
    // contracts count from 1: stream 0 is the one in deliveries that are posted by hand
    return [...new Set([0n, ...shown, ...ahead])].map((id) => `stream:${id}`);
  },
};

function makeCard(id) {
  const status = element("span", { className: "tag" });
  const amounts = element("p", { className: "amounts" });
  const share = element("span", { className: "share" });
  const bar = element("progress", { max: 1000, value: 0, ariaLabel: `Stream ${id}: part withdrawn` });
  const parties = element("p", { className: "parties" });
  const blocks = element("p", { className: "blocks" });
  const node = element(
    "li",
    {},
    element("div", { className: "top" }, element("h3", {}, `Stream ${id}`), status),
    element("div", { className: "top" }, amounts, share),
    bar,
    parties,
    blocks,
  );
  node.dataset.streamId = id;

  const fill = (view) => {
    const amount = parseInteger(view.amount);
    const withdrawn = parseInteger(view.withdrawn);
    // Tenths of a percent, rounded down: what is not all withdrawn never reads 100 %.
    const permille = amount !== null && withdrawn !== null && amount > 0n ? (withdrawn * 1000n) / amount : null;
    node.dataset.status = word(view.status, "unknown");
    status.textContent = Object.hasOwn(STATUS_WORDS, node.dataset.status)
      ? STATUS_WORDS[node.dataset.status]
      : node.dataset.status;
    amounts.replaceChildren(element("b", {}, sbtc(view.withdrawn)), ` of ${sats(view.amount)} withdrawn`);
    share.textContent = permille === null ? "" : `${permille / 10n}.${permille % 10n} %`;
    bar.value = permille === null ? 0 : Number(permille > 1000n ? 1000n : permille);
    parties.replaceChildren(
      party(view.sender),
      element("span", { className: "arrow", ariaHidden: "true" }, " → "),
      element("span", { className: "unseen" }, " to "),
      party(view.recipient),
    );
    blocks.textContent = `Blocks ${word(view.startBlock)} to ${word(view.endBlock)}`;
  };
  return { id: BigInt(id), node, fill };
}

// ---------------------------------------------------------------- what was heard

let cursor = null; // as text: the newest of an emission's or an answer's
let epoch = null;
const seen = new Map(); // room -> offset of its last emission; forgotten with the epoch
let received = 0;
let tip = null;

/** Move the cursor on. Says whether the text was one. */
function note(text) {
  const next = typeof text === "string" ? parseCursor(text) : null;
  if (!next) return false;
  if (enter(next.epoch)) soonReadSnapshot();
  const last = cursor && parseCursor(cursor);
  if (last?.epoch !== next.epoch || isNewer(next, last)) cursor = text;
  $("cursor").textContent = cursor;
  return true;
}

/** Be in an epoch; another one than before makes all offsets meaningless. Says whether it was another. */
function enter(other) {
  const changed = epoch !== null && epoch !== other;
  epoch = other;
  if (changed) {
    era += 1;
    seen.clear();
    board.told.clear();
  }
  return changed;
}

function hear(name, ...args) {
  try {
    if (name === "system:resync") return void soonReadSnapshot();
    if (!note(args.at(-1))) return; // ephemeral
    const payload = args[0];
    const offset = typeof payload?.meta?.offset === "string" ? parseOffset(payload.meta.offset) : null;
    if (!offset || typeof payload.data !== "object" || payload.data === null) return; // system:cursor
    const { room } = payload.meta;
    if (!isNewer(offset, seen.get(room))) return;
    seen.set(room, offset);

    received += 1;
    $("received").textContent = String(received);
    tellTip(payload);
    const row = makeRow(name, payload, offset);
    if (row.op === "rollback") feed.retract(row);
    feed.add(row);
    if (name === "stream:updated") board.put(payload.data, offset);
    tellEmptiness();
    soonReconcile();
  } catch (error) {
    // The client keeps its place in the log only if a handler returns: one odd message must not cost the next ones.
    console.error("could not show", name, error);
  }
}

function tellTip({ data, meta }) {
  if (!Number.isSafeInteger(data.blockHeight)) return;
  if (meta.op === "apply") tip = Math.max(tip ?? 0, data.blockHeight);
  if (meta.op === "rollback") tip = Math.min(tip ?? data.blockHeight, data.blockHeight - 1);
  $("tip").textContent = tip ?? "–";
}

// ---------------------------------------------------------------- the snapshot

let asOf = null; // cursor of the last snapshot
let reading = null; // the AbortController of the one under way
let retry = 0;
let trouble = null;

/** Fetch the streams and take them over. A newer call supersedes an older one; a failed one is repeated. */
async function readSnapshot() {
  reading?.abort();
  clearTimeout(retry);
  const mine = (reading = new AbortController());
  try {
    const signal = AbortSignal.any([mine.signal, AbortSignal.timeout(ACK_MS)]);
    const response = await fetch(`/api/streams?limit=${STREAMS_KEPT}`, { signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const body = await response.json();
    const at = parseCursor(body.asOf);
    if (!at || !Array.isArray(body.data)) throw new Error("not a snapshot");
    if (mine.signal.aborted) return;
    enter(at.epoch);
    asOf = body.asOf;
    trouble = null;
    board.replace(body.data, body.next == null, at);
    if (Number.isSafeInteger(body.tip?.blockHeight)) {
      tip = body.tip.blockHeight;
      $("tip").textContent = tip;
    }
    $("streams-note").textContent = body.next == null ? "" : `The newest ${STREAMS_KEPT}`;
    reconcile();
  } catch (error) {
    if (mine.signal.aborted) return;
    trouble = error.message;
    if (socket.connected) retry = setTimeout(readSnapshot, RETRY_MS);
  }
  tellEmptiness();
}

/** Many rooms may ask for it at once. */
function soonReadSnapshot() {
  clearTimeout(retry);
  retry = setTimeout(readSnapshot, 100);
}

setInterval(() => {
  if (!socket.connected) readSnapshot();
}, POLL_MS);

// ---------------------------------------------------------------- rooms

const joined = new Map(); // room -> {state: joining, joined, leaving or refused; since}

function wanted() {
  return new Set(asOf === null ? SHARED_ROOMS : [...SHARED_ROOMS, ...board.rooms()]);
}

/** Join and leave until the rooms joined are the rooms wanted. */
function reconcile() {
  if (!socket.connected) return;
  const want = wanted();
  for (const room of joined.keys()) if (!want.has(room)) leave(room);
  for (const room of want) if (!joined.has(room)) join(room, room.startsWith("stream:") ? asOf : undefined);
  tellRooms();
}

let reconciling = 0;

/** After a burst, not during it: streams may come and go by the dozen in one block. */
function soonReconcile() {
  reconciling ||= setTimeout(() => {
    reconciling = 0;
    reconcile();
  }, 50);
}

/** Ask to be let into a room; everything it heard after `since` comes first. Unanswered, it is asked again with the same. */
function join(room, since) {
  const [kind, id] = room.split(":");
  const options = since ? [{ since }] : [];
  const request = id === undefined ? [`join-${kind}`, ...options] : ["join-stream-room", id, ...options];
  ask(room, { state: "joining", since }, request, (answer) => {
    note(answer.cursor);
    joined.set(room, { state: "joined" });
    if (answer.complete === false) soonReadSnapshot();
  });
}

function leave(room) {
  if (joined.get(room).state === "leaving") return;
  const [kind, id] = room.split(":");
  const request = id === undefined ? [`leave-${kind}`] : ["leave-stream-room", id];
  ask(room, { state: "leaving" }, request, () => {
    joined.delete(room);
    soonReconcile(); // it may be wanted again by now
  });
}

function ask(room, entry, request, answered) {
  joined.set(room, entry);
  const isCurrent = () => socket.connected && joined.get(room) === entry;
  const again = () => isCurrent() && ask(room, { ...entry }, request, answered);
  socket.timeout(ACK_MS).emit(...request, (error, answer) => {
    if (!isCurrent()) return; // connected() takes care of it, or has
    if (answer?.ok === true) answered(answer);
    else if (error || ["UNAVAILABLE", "RATE_LIMITED"].includes(answer?.error?.code)) setTimeout(again, RETRY_MS);
    else if (entry.state === "leaving") answered();
    else {
      console.warn("not let into", room, answer?.error);
      joined.set(room, { state: "refused" });
    }
    tellRooms();
  });
}

function tellRooms() {
  $("rooms").textContent = [...joined.values()].filter((entry) => entry.state === "joined").length;
}

// ---------------------------------------------------------------- the connection

const socket = io({
  path: "/socket.io",
  transports: ["websocket", "polling"],
  tryAllTransports: true, // else a blocked WebSocket never becomes polling
  reconnectionDelay: 1_000,
  reconnectionDelayMax: 30_000,
  autoConnect: false,
  auth: (give) => give(cursor ? { since: cursor } : {}), // for `global`, which the server joins by itself
});

let left = null; // the cursor when the connection was lost

socket.onAny(hear);

socket.on("connect", () => {
  for (const [room, entry] of [...joined]) {
    if (entry.state === "joining") join(room, entry.since);
    else if (!socket.recovered) {
      joined.delete(room);
      if (entry.state === "joined") join(room, left ?? undefined);
    } else if (entry.state === "leaving") {
      joined.set(room, { state: "joined" }); // the server may not have heard it
      leave(room);
    }
  }
  reconcile();
  readSnapshot();
  tellStatus();
});

socket.on("disconnect", () => {
  left = cursor;
  tellStatus();
  tellRooms();
});

socket.on("connect_error", tellStatus);
socket.io.on("reconnect_attempt", tellStatus);
addEventListener("online", tellStatus);
addEventListener("offline", tellStatus);
$("reconnect").addEventListener("click", () => {
  socket.connect();
  tellStatus();
});
$("pause").addEventListener("click", () => feed.pause(!feed.paused));

let wasLive = false;

function state() {
  if (socket.connected) return "live";
  if (!socket.active || !navigator.onLine) return "offline"; // the server sent us away, or there is no network
  return wasLive ? "reconnecting" : "connecting";
}

function tellStatus() {
  const now = state();
  wasLive ||= now === "live";
  const label = { live: "Live", connecting: "Connecting", reconnecting: "Reconnecting", offline: "Offline" }[now];
  $("status").dataset.state = now;
  if ($("status-text").textContent !== label) $("status-text").textContent = label; // said aloud once, not on every try
  $("reconnect").hidden = socket.connected || socket.active;
  tellEmptiness();
}

function tellEmptiness() {
  $("events-empty").hidden = $("events").childElementCount > 0;
  $("events-empty").textContent = {
    live: "Waiting for the first block… An event shows up here as soon as its block is recorded.",
    connecting: "Connecting…",
    reconnecting: "The connection was lost. Trying again; what happens meanwhile is told afterwards.",
    offline: "Offline. Nothing can be heard until the connection is back.",
  }[state()];
  $("streams-empty").hidden = $("streams").childElementCount > 0;
  $("streams-empty").textContent = trouble
    ? `The streams could not be read (${trouble}). Trying again…`
    : asOf === null
      ? "Reading the streams…"
      : "No streams yet. The first one shows up here when its block arrives.";
}

socket.connect();
readSnapshot();
