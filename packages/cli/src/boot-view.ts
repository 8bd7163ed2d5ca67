import { decodeTextStrict, ImageError, isImageError } from "@guestprobe/block";
import type { GuestView, GuestVolume } from "@guestprobe/boot";
import { encodeText } from "@guestprobe/grub/script";
import { type FileSystem, LINUX_WALK, resolve } from "@guestprobe/vfs";
import { guestWorld } from "./grub-world.js";
import type { Guest, Volume } from "./guest.js";
import type { Output } from "./output/output.js";
import { isEncrypted, unreadReason, volumeSignature } from "./unread.js";
import type { Options } from "./verbs.js";

/** Findings of the readers which say that a volume was not unmounted cleanly. */
const DIRTY: ReadonlySet<string> = new Set(["ext-journal-dirty", "xfs-log-dirty", "btrfs-log-tree"]);
/** Small files that the verdict reads as Linux would: fstab, os-release, configurations. Bytes. */
const MAX_FILE = 4 << 20;

/** A guest's disks as a boot verdict sees them. */
export function bootView(guest: Guest, options: Options, out: Output): GuestView {
  const { world, session, readRange } = guestWorld(guest, options);
  let known: Promise<readonly GuestVolume[]> | undefined;
  const list = async (): Promise<readonly GuestVolume[]> => {
    const found: GuestVolume[] = [];
    for (const device of [...(await session.devices()), ...(await session.hiddenDevices())]) {
      const { fs, uuid, label, obstacle, error } = await session.volume(device);
      const volume = guest.volumes.find((candidate) => candidate.device === device.name);
      const { disk, partition } = volume ?? {};
      found.push({
        device: device.name,
        linuxNames:
          disk !== undefined && "volume" in disk && partition === undefined ? disk.volume.linuxNames : undefined,
        fs: fs?.kind,
        features: fs?.features ?? [],
        uuid: fs?.uuid ?? uuid,
        label: decodeTextStrict(fs?.label ?? label ?? new Uint8Array()),
        partUuid: partition?.uuid,
        dirty: out.log.findings.some((each) => each.device === device.name && DIRTY.has(each.code)),
        hidden: "obstacle" in device ? device.obstacle.reason : obstacle?.reason,
        error: error ?? (fs === undefined && volume !== undefined ? await encryption(volume) : undefined),
        read: async (path) => (fs === undefined ? undefined : readSmall(fs, path, guest.signal)),
      });
    }
    return found;
  };
  return {
    world,
    readRange,
    disks: guest.disks.map(({ name }) => name),
    volumes() {
      known ??= list();
      return known;
    },
  };
}

/** Why nobody can say what an encrypted volume holds; undefined where it is none. */
async function encryption(volume: Volume): Promise<ImageError | undefined> {
  const signature = await volumeSignature(volume);
  if (signature === undefined || !isEncrypted(signature)) return undefined;
  const { kind: format, offset } = signature;
  return new ImageError("encrypted", unreadReason(signature), { format, offset });
}

async function readSmall(fs: FileSystem, path: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  try {
    const found = await resolve(fs, encodeText(path), { policy: LINUX_WALK, signal });
    if (found?.inode.stat.type !== "file") return undefined;
    return await found.inode.read(0, Math.min(found.inode.stat.size, MAX_FILE));
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted" || error.code === "limit") throw error;
    // The verdict goes on without a file that is damaged; damage of the volume is reported by its reader.
    return undefined;
  }
}
