import type { Dirent, Inode } from "@guestprobe/vfs";

/** Letters of ASCII in lower case, other bytes as they are: grub_tolower. */
const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
const same = (byte: number): number => byte;

/** An entry of which its reader knows that it lies behind the mark where GRUB stops listing. */
const isPastEnd = ({ ref }: Dirent): boolean =>
  typeof ref === "object" && ref !== null && "isPastEnd" in ref && ref.isPastEnd === true;

/**
 * The first entry of a directory with this name as GRUB compares it, by the names that a listing shows and no others.
 */
export async function findVisible(
  directory: Inode,
  name: Uint8Array,
  compare: "exact" | "insensitive",
  signal: AbortSignal | undefined,
): Promise<Inode | undefined> {
  const fold = compare === "exact" ? same : lower;
  for await (const batch of directory.entries(signal)) {
    for (const entry of batch) {
      if (isPastEnd(entry)) return undefined;
      if (entry.name.length === name.length && entry.name.every((byte, at) => fold(byte) === fold(name[at]!))) {
        return directory.child(entry, signal);
      }
    }
  }
  return undefined;
}
