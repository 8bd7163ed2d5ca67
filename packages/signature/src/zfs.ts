import { decodeText } from "@guestprobe/block";
import type { Found } from "./row.js";
import { labelOf } from "./row.js";
import type { Window } from "./window.js";

/** The list of names and values in the first label: behind 8 KiB of nothing and 8 KiB of boot header. */
const NVLIST_AT = 0x4000;
/** As far as it is looked through: pool name and ids stand at its front. */
const NVLIST_BYTES = 0x2000;
/** XDR encoding, little- or big-endian host; the list itself is big-endian always. ZFS, sys/nvpair.h. */
const NV_ENCODE_XDR = 1;
const DATA_TYPE_UINT64 = 8;
const DATA_TYPE_STRING = 9;
const HEADER_BYTES = 12;
/** Sizes of the pair encoded and decoded, and the length of its name. */
const PAIR_HEADER = 12;

const align4 = (value: number): number => Math.ceil(value / 4) * 4;

/** Pool name and pool GUID from the first label of a ZFS member. */
export function decodeZfs(window: Window): Found | undefined {
  const view = window.view(NVLIST_AT, NVLIST_BYTES);
  if (view === undefined || view.getUint8(0) !== NV_ENCODE_XDR) return undefined;
  let label: Uint8Array | undefined;
  let guid: bigint | undefined;
  let version: bigint | undefined;
  for (let at = HEADER_BYTES; at + PAIR_HEADER <= NVLIST_BYTES; ) {
    const size = view.getUint32(at);
    const nameLength = view.getUint32(at + 8);
    const valueAt = at + PAIR_HEADER + align4(nameLength) + 8;
    if (size < PAIR_HEADER || at + size > NVLIST_BYTES || valueAt + 8 > at + size) break;
    const name = decodeText(window.bytes(NVLIST_AT + at + PAIR_HEADER, nameLength)!);
    const type = view.getUint32(valueAt - 8);
    if (type === DATA_TYPE_UINT64 && name === "pool_guid") guid = view.getBigUint64(valueAt);
    if (type === DATA_TYPE_UINT64 && name === "version") version = view.getBigUint64(valueAt);
    if (type === DATA_TYPE_STRING && name === "name") {
      const length = view.getUint32(valueAt);
      if (valueAt + 4 + length <= at + size) label = labelOf(window.bytes(NVLIST_AT + valueAt + 4, length)!);
    }
    at += size;
  }
  // A list with neither is someone else's.
  if (guid === undefined || version === undefined) return undefined;
  return {
    offset: NVLIST_AT,
    version: String(version),
    uuid: guid === 0n ? undefined : String(guid),
    ...(label && { label }),
  };
}
