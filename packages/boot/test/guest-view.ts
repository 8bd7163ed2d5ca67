import { ImageError } from "@guestprobe/block";
import type { GuestView, GuestVolume } from "@guestprobe/boot";
import { memoryWorld } from "@guestprobe/grub/script";

export interface VolumeSpec {
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly fs?: string;
  readonly features?: readonly string[];
  readonly uuid?: string;
  readonly label?: string;
  readonly partUuid?: string;
  readonly dirty?: boolean;
  /** GRUB does not read it, for this reason. */
  readonly hidden?: string;
  /** It could not be read here. */
  readonly unreadable?: boolean;
}

/** A guest made of files in memory; volumes in GRUB's order. */
export function guestView(volumes: Readonly<Record<string, VolumeSpec>>): GuestView {
  const seen = Object.entries(volumes).filter(
    ([, { hidden, unreadable }]) => hidden === undefined && unreadable !== true,
  );
  const files = seen.flatMap(([device, spec]) =>
    Object.entries(spec.files ?? {}).map(([path, content]) => [`(${device})${path}`, content] as const),
  );
  const facts = Object.fromEntries(
    seen.map(([device, { fs = "ext4", uuid, label }]) => [device, { fs, fsUuid: uuid, label, driver: "xen" }]),
  );
  const world = memoryWorld(files, facts);
  const content = (device: string, path: string): Uint8Array | undefined => {
    const found = volumes[device]?.files?.[path];
    return typeof found === "string" ? new TextEncoder().encode(found) : found;
  };
  return {
    world,
    disks: [...new Set(Object.keys(volumes).map((device) => device.split(",")[0]!))],
    async readRange(device, path, offset, length) {
      return (await world.read(device, path))?.subarray(offset, offset + length);
    },
    async volumes() {
      return Object.entries(volumes).map(
        ([device, spec]): GuestVolume => ({
          device,
          fs: spec.fs ?? "ext4",
          features: spec.features ?? [],
          uuid: spec.uuid,
          label: spec.label,
          partUuid: spec.partUuid,
          dirty: spec.dirty ?? false,
          hidden: spec.hidden,
          error: spec.unreadable ? new ImageError("unsupported", "a feature that is not read here") : undefined,
          read: async (path) => content(device, path),
        }),
      );
    },
  };
}
