import type { Dirent, Inode } from "@guestprobe/vfs";

/** Letters of ASCII in lower case, other bytes as they are: grub_tolower. */
const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
const same = (byte: number): number => byte;

/** An entry of which its reader knows that it lies behind the mark where GRUB stops listing. */
const isPastEnd = ({ ref }: Dirent): boolean =>
  typeof ref === "object" && ref !== null && "isPastEnd" in ref && ref.isPastEnd === true;

/** An entry whose name is one of those that GRUB's driver compares in any case. */
const isPlainName = ({ ref }: Dirent): boolean =>
  typeof ref === "object" && ref !== null && "isPlainName" in ref && ref.isPlainName === true;

/**
 * The first entry of a directory with this name as GRUB compares it, by the names that a listing shows and no others.
 *
 * @param compare `insensitive`: in any case. `by-entry`: where the reader says that the name is a plain one.
 */
export async function findVisible(
  directory: Inode,
  name: Uint8Array,
  compare: "insensitive" | "by-entry",
  signal: AbortSignal | undefined,
): Promise<Inode | undefined> {
  for await (const batch of directory.entries(signal)) {
    for (const entry of batch) {
      if (isPastEnd(entry)) return undefined;
      const fold = compare === "insensitive" || isPlainName(entry) ? lower : same;
      if (entry.name.length === name.length && entry.name.every((byte, at) => fold(byte) === fold(name[at]!))) {
        return directory.child(entry, signal);
      }
    }
  }
  return undefined;
}
