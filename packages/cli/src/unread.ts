import { decodeText, isZero, readUpTo } from "@guestprobe/block";
import { identify, type Signature } from "@guestprobe/signature";
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

/** Signatures of what holds no files. */
const SWAP: ReadonlySet<string> = new Set(["swap", "swsuspend"]);

/** The volumes whose content could not be told, with the reason. Blank ones and swap are known to hold nothing. */
export async function unreadVolumes(guest: Guest): Promise<UnreadVolume[]> {
  const unread: UnreadVolume[] = [];
  const inArrays = new Set(guest.assembled.volumes.flatMap(({ members }) => members));
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
    const signature = await volumeSignature(volume);
    if (signature !== undefined && SWAP.has(signature.kind)) continue;
    // A mirror's own bytes, on a member: they were asked for above.
    if (signature?.usage === "raid" && inArrays.has(volume.device)) continue;
    unread.push({ device: volume.device, reason: unreadReason(signature) });
  }
  for (const { devices, error } of guest.assembled.unread) {
    unread.push(...devices.map((device) => ({ device, reason: error.message })));
  }
  return unread;
}

async function holdsNothing({ block, partition }: Volume): Promise<boolean> {
  if (partition !== undefined && NO_FILE_SYSTEM.has(partition.type.id)) return true;
  try {
    const start = await readUpTo(block, 0, BLANK_BYTES);
    return block.size > 0 && isZero(start);
  } catch (cause) {
    imageErrorOnly(cause);
    return false;
  }
}

/** What the volume's superblock says of it. A place that cannot be read tells nothing. */
export async function volumeSignature({ block }: Volume): Promise<Signature | undefined> {
  const [signature] = await identify(block);
  return signature;
}

/** Whether what a volume holds takes a key to read. The hashes of dm-verity and the sums of dm-integrity are in the clear. */
export const isEncrypted = ({ kind }: Signature): boolean => ENCRYPTED.has(kind);
const ENCRYPTED: ReadonlySet<string> = new Set(["crypto_LUKS", "BitLocker"]);

/** Why a volume with this superblock is not read. */
export function unreadReason(signature: Signature | undefined): string {
  if (signature === undefined) return "its content is not recognised";
  const { title, uuid, label } = signature;
  const marks = [uuid && `UUID ${uuid}`, label.length > 0 && `label ${decodeText(label)}`].filter(Boolean).join(", ");
  const what = marks === "" ? title : `${title} (${marks})`;
  return isEncrypted(signature)
    ? `${what}: what it holds cannot be told without its key`
    : `${what}, which is not read`;
}
