import { btrfsWith } from "@guestprobe/btrfs";
import type { Decompressor } from "@guestprobe/codec";
import { ext } from "@guestprobe/ext";
import { fat } from "@guestprobe/fat";
import { iso9660 } from "@guestprobe/iso9660";
import { squashfsWith } from "@guestprobe/squashfs";
import type { FileSystemFormat } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";

let pool: Promise<Decompressor> | undefined;

/** Node's permission model, which --sandbox runs under; its types do not know it yet. */
interface Permission {
  has(scope: string): boolean;
}

/** Threads that decompress; where none may be started, this one. */
async function startPool(): Promise<Decompressor> {
  const { permission } = process as unknown as { readonly permission?: Permission };
  if (permission?.has("worker") === false) return (await import("@guestprobe/codec")).inlineDecompressor;
  return (await import("@guestprobe/codec/node")).workerDecompressor();
}

/** The threads of this process that decompress, started for the first large file that needs them. */
const decompressor: Decompressor = {
  async decode(...request) {
    pool ??= startPool();
    return (await pool).decode(...request);
  },
};

/** The file systems that the command reads. */
export const FORMATS: readonly FileSystemFormat[] = [
  ext,
  xfs,
  btrfsWith({ decompressor }),
  squashfsWith({ decompressor }),
  fat,
  iso9660,
];
