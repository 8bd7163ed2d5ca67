import { isZero, readUpTo } from "@guestprobe/block";
import { identify } from "@guestprobe/signature";
import type { Guest, Volume } from "./guest.js";
import { imageErrorOnly } from "./output/output.js";

/** A volume about which nothing can be said: GRUB, which has more drivers, might find something there. */
export interface UnreadVolume {
  readonly device: string;
  readonly reason: string;
}

/** How much is looked at to call a volume blank: every superblock that GRUB's drivers look for lies before this. */
const BLANK_BYTES = 128 << 10;

/** Partition types that hold no file system by their nature: GRUB's core image, and room for it. */
const NO_FILE_SYSTEM = new Set(["21686148-6449-6E6F-744E-656564454649", "9E1A2D38-C612-4316-AA26-8B49521E5A8B"]);

/** The volumes whose content could not be told, with the reason. Blank ones and swap are known to hold nothing. */
export async function unreadVolumes(guest: Guest): Promise<UnreadVolume[]> {
  const unread: UnreadVolume[] = [];
  for (const volume of guest.volumes) {
    if ((await guest.fileSystem(volume)) !== undefined) continue;
    const failure = guest.failure(volume);
    if (failure !== undefined) {
      unread.push({ device: volume.device, reason: failure.message });
      continue;
    }
    // What it is part of is asked by itself.
    if (guest.assembled.taken.has(volume.device)) continue;
    // A disk with partitions holds no file system of its own, as a rule; if one is there, it was opened above.
    if (volume.partition === undefined && volume.disk.partitions.partitions.length > 0) continue;
    if (await holdsNothing(volume)) continue;
    unread.push({ device: volume.device, reason: await reasonOf(volume) });
  }
  for (const { devices, error } of guest.assembled.unread) {
    unread.push(...devices.map((device) => ({ device, reason: error.message })));
  }
  return unread;
}

/** What kept it from being read: above all, a key that nobody here has. */
async function reasonOf({ block }: Volume): Promise<string> {
  const [found] = await identify(block);
  if (found === undefined) return "its content is not recognised";
  if (found.usage === "crypto") return `${found.title}: what it holds cannot be told without its key`;
  return `${found.title}: no file system that this tool reads`;
}

async function holdsNothing({ block, partition }: Volume): Promise<boolean> {
  if (partition !== undefined && NO_FILE_SYSTEM.has(partition.type.id)) return true;
  try {
    const start = await readUpTo(block, 0, BLANK_BYTES);
    return (block.size > 0 && isZero(start)) || isSwap(start);
  } catch (cause) {
    imageErrorOnly(cause);
    return false;
  }
}

/** mkswap(8) writes "SWAPSPACE2" at the end of the first page, whose size is the machine's. */
function isSwap(start: Uint8Array): boolean {
  return [4096, 8192, 16384, 65536].some(
    (page) => Buffer.from(start.subarray(page - 10, page)).toString("latin1") === "SWAPSPACE2",
  );
}
