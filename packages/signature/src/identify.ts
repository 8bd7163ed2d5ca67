import { type BlockDevice, equalBytes, findingFromError, isImageError } from "@guestprobe/block";
import { bytesOf, type Found, type ReadMore, type SignatureRow } from "./row.js";
import { SIGNATURES } from "./table.js";
import type { IdentifyOptions, Signature } from "./types.js";
import { readWindow, type Window } from "./window.js";

/** Reads for one label that lies away from its superblock, and bytes of them all. */
const MAX_READS = 24;
const MAX_BYTES = 1 << 20;

/**
 * Names what lies on a device by the superblocks that it carries, the one that decides first: an array before the file
 * system on it. Empty where nothing is known.
 *
 * Costs the few reads of `wantedRegions`, together, and for formats that keep their label elsewhere (FAT, exFAT, NTFS, HFS+,
 * UDF) up to 24 small ones more. A place that cannot be read is reported, and the others are looked at.
 *
 * @throws ImageError `aborted`.
 */
export async function identify(device: BlockDevice, options: IdentifyOptions = {}): Promise<readonly Signature[]> {
  // Of less than three sectors, nothing can be said.
  if (device.size <= 1024) return [];
  const window = await readWindow(device, options);
  const signatures: Signature[] = [];
  for (const row of SIGNATURES) {
    const found = recognise(row, window);
    if (found === undefined) continue;
    const whole = row.more === undefined ? found : await row.more(window, found, readMore(device, options));
    signatures.push({
      kind: row.kind,
      title: row.title,
      usage: row.usage,
      label: whole.label ?? new Uint8Array(0),
      uuid: whole.uuid,
      version: whole.version,
      offset: whole.offset,
      problem: whole.problem,
    });
  }
  return signatures;
}

function recognise(row: SignatureRow, window: Window): Found | undefined {
  if (window.size < (row.minSize ?? 0)) return undefined;
  if (row.magics === undefined) return row.decode?.(window, 0);
  for (const { at, is } of row.magics) {
    const wanted = bytesOf(is);
    const bytes = window.bytes(at, wanted.length);
    if (bytes === undefined || !equalBytes(bytes, wanted)) continue;
    const found = row.decode === undefined ? { offset: at } : row.decode(window, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Within the budget of one label; a place past the end, or one that cannot be read, answers undefined. */
function readMore(device: BlockDevice, { report, signal }: IdentifyOptions): ReadMore {
  let [reads, total] = [0, 0];
  return async (offset, length) => {
    reads += 1;
    total += length;
    if (reads > MAX_READS || total > MAX_BYTES || offset + length > device.size) return undefined;
    try {
      return await device.read(offset, length, signal);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      report?.(findingFromError(error));
      return undefined;
    }
  };
}
