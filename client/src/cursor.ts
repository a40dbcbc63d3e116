/** Cursors and offsets of the delivery protocol; opaque to applications. */

/** Place of an emission in the one order of all: entry, and number within the entry. */
export type Offset = readonly [seq: bigint, n: number];

/** An offset, and the history that it belongs to. */
export interface Cursor {
  readonly epoch: string;
  readonly offset: Offset;
}

const CURSOR = /^([0-9a-f]{8})\.(\d{1,19})-(\d{1,9})$/;
const OFFSET = /^(\d{1,19})-(\d{1,9})$/;

/** Reads a cursor such as `5ef1db07.18234-1`; null for anything else. */
export function readCursor(text: unknown): Cursor | null {
  const found = typeof text === "string" ? CURSOR.exec(text) : null;
  return found ? { epoch: found[1]!, offset: [BigInt(found[2]!), Number(found[3])] } : null;
}

/** Reads an offset such as `18234-1`; null for anything else. */
export function readOffset(text: unknown): Offset | null {
  const found = typeof text === "string" ? OFFSET.exec(text) : null;
  return found ? [BigInt(found[1]!), Number(found[2])] : null;
}

/** Whether the cursor `a` is after `b`; of different histories neither is. */
export function isLater(a: string | null, b: string | undefined): boolean {
  const [one, other] = [readCursor(a), readCursor(b)];
  return !!one && one.epoch === other?.epoch && isAfter(one.offset, other.offset);
}

/** Whether `a` comes after `b`. Both parts count as integers: as text, 10 would come before 9. */
export function isAfter(a: Offset, b: Offset): boolean {
  return a[0] === b[0] ? a[1] > b[1] : a[0] > b[0];
}
