import { decodeTextStrict, type ImageError, isImageError } from "@guestprobe/block";
import { GRUB_VERSIONS, type GrubSearch, type GrubVersionId, type Volume } from "@guestprobe/grub";
import {
  type DialectName,
  decodeText,
  encodeText,
  type Platform,
  type World,
  type WorldEntry,
} from "@guestprobe/grub/script";
import { GRUB_WALK, type Inode, open } from "@guestprobe/vfs";
import { type Guest, grubSearch } from "./guest.js";
import type { Options } from "./verbs.js";

/** Answers of a path walk; anything else means that the file could not be read here. */
const ABSENT: ReadonlySet<string> = new Set(["not-found", "not-a-directory", "symlink-loop", "invalid-argument"]);

export interface GuestWorld {
  readonly world: World;
  readonly session: GrubSearch;
  /** Part of a regular file, fewer bytes at its end; undefined when GRUB finds no such file. */
  readonly readRange: (device: string, path: string, offset: number, length: number) => Promise<Uint8Array | undefined>;
  /** Devices that could not be read here, although GRUB might, and why. */
  readonly unread: ReadonlyMap<string, ImageError>;
  readonly dialect: DialectName;
  readonly platform: Platform;
}

/** The disks of a guest as a script of GRUB sees them. */
export function guestWorld(guest: Guest, options: Options): GuestWorld {
  const dialect = options.grub as GrubVersionId & DialectName;
  const session: GrubSearch = grubSearch(guest, GRUB_VERSIONS[dialect]);
  const unread = new Map<string, ImageError>();

  const volumeOf = async (name: string): Promise<Volume | undefined> => {
    const device = await session.openDevice(name);
    if (device === undefined) return undefined;
    const volume = await session.volume(device);
    if (volume.error !== undefined) unread.set(device.name, volume.error);
    return volume;
  };
  const find = async (name: string, path: string): Promise<Inode | undefined> => {
    const volume = await volumeOf(name);
    if (volume?.fs === undefined || volume.obstacle !== undefined) return undefined;
    try {
      return await open(volume.fs, encodeText(path), { policy: GRUB_WALK });
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted" || error.code === "limit") throw error;
      if (!ABSENT.has(error.code)) unread.set(name, error);
      return undefined;
    }
  };
  const file = async (name: string, path: string): Promise<Inode | undefined> => {
    const inode = await find(name, path);
    return inode?.stat.type === "file" ? inode : undefined;
  };

  const world: World = {
    signal: guest.signal,
    async devices() {
      return (await session.devices()).map(({ name }) => name);
    },
    async probe(name) {
      const device = await session.openDevice(name);
      const volume = await volumeOf(name);
      if (device === undefined || volume === undefined) return undefined;
      const readable = volume.fs !== undefined && volume.obstacle === undefined;
      return {
        fs: readable ? (volume.gate?.driver ?? volume.fs?.kind) : undefined,
        fsUuid: volume.uuid,
        label: volume.label === undefined ? undefined : decodeTextStrict(volume.label),
        partmap: device.partitions.at(-1)?.map,
        driver: name.startsWith("lvm/") || name.startsWith("md/") ? "diskfilter" : "xen",
      };
    },
    async exists(name, path) {
      const inode = await file(name, path);
      return inode === undefined ? undefined : { size: inode.stat.size };
    },
    async read(name, path) {
      const inode = await file(name, path);
      return inode?.read(0, inode.stat.size);
    },
    async readDir(name, path) {
      const inode = await find(name, path);
      if (inode?.stat.type !== "dir") return undefined;
      const entries: WorldEntry[] = [];
      for await (const batch of inode.entries()) {
        for (const entry of batch) {
          // Where the directory does not say, the inode does.
          const type = entry.type ?? (await inode.child(entry)).stat.type;
          entries.push({
            name: decodeText(entry.name),
            type: type === "file" ? "file" : type === "dir" ? "directory" : "other",
          });
        }
      }
      return entries;
    },
  };
  const readRange: GuestWorld["readRange"] = async (name, path, offset, length) =>
    (await file(name, path))?.read(offset, length);
  return { world, session, readRange, unread, dialect, platform: options.platform as Platform };
}
