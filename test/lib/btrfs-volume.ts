import { type BlockDevice, cachedDevice, type Finding } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { type BtrfsFileSystem, btrfs } from "@guestprobe/btrfs";
import { type Entry, type OpenOptions, walkAll } from "@guestprobe/vfs";
import { conformanceCases } from "@guestprobe/vfs/conformance";
import { btrfsView, makeVolume, type VolumeOptions, withBtrfs } from "./btrfs-image.mjs";
import { run } from "./kernel-view.mjs";
import { sha256 } from "./sha256.js";

/** A volume that mkfs.btrfs and the kernel wrote, and what the kernel shows of it. */
export interface KernelVolume {
  readonly images: readonly string[];
  readonly uuid: string;
  readonly label: string;
  readonly entries: readonly Partial<Entry>[];
  readonly xattrs: ReadonlyMap<string, Record<string, string>>;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** What the kernel shows of the volume when it is mounted anew, read-only, from subvolume `subvolid`. */
export function kernelVolume(images: readonly string[], subvolid = 5): KernelVolume {
  const blkid = (tag: string): string => run("blkid", ["-p", "-s", tag, "-o", "value", images[0]!]).trim();
  return withBtrfs(images, ["ro", "noatime", `subvolid=${subvolid}`], (point) => {
    const entries = btrfsView(point);
    return { images, uuid: blkid("UUID"), label: blkid("LABEL"), entries, xattrs: allXattrs(point) };
  });
}

/** The extended attributes of all files below `point` that have any: path to name to value in hexadecimal. */
function allXattrs(point: string): Map<string, Record<string, string>> {
  const out = run("getfattr", ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "--absolute-names", point]);
  const found = new Map<string, Record<string, string>>();
  for (const block of out.split("\n\n")) {
    const path = /^# file: (.*)$/m.exec(block)?.[1];
    if (path === undefined) continue;
    const pairs = [...block.matchAll(/^([^#=\n]+)=0x([0-9a-f]*)$/gm)].map(([, name, value]) => [name, value]);
    found.set(path.slice(point.length) || "/", Object.fromEntries(pairs));
  }
  return found;
}

/** Makes and fills a volume, and takes down what the kernel shows of it. */
export function buildVolume(
  folder: string,
  options: VolumeOptions & { readonly mount?: readonly string[] },
  fill: (point: string) => void,
): KernelVolume {
  const images = makeVolume(folder, options);
  withBtrfs(images, options.mount ?? [], fill);
  return kernelVolume(images);
}

export interface Opened {
  readonly fs: BtrfsFileSystem;
  readonly devices: readonly BlockDevice[];
  readonly findings: readonly Finding[];
}

/** Opens the volume on some of its images and calls `use`. `findings` fills while it is read. */
export async function withOpened<T>(
  images: readonly string[],
  options: OpenOptions,
  use: (opened: Opened) => Promise<T>,
): Promise<T> {
  const files = await Promise.all(images.map((image) => openFile(image)));
  try {
    const devices = files.map((file) => cachedDevice(file));
    const findings: Finding[] = [];
    const report = (finding: Finding): void => void findings.push(finding);
    const fs = await btrfs.open(devices[0]!, { members: devices.slice(1), report, ...options });
    return await use({ fs, devices, findings });
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/**
 * Holds the volume, opened on `images`, against what the kernel shows: the conformance suite and all extended
 * attributes. Answers the codes of the findings. `skip` names a case that does not apply.
 */
export async function checkVolume(
  volume: KernelVolume,
  options: OpenOptions = {},
  skip?: string,
): Promise<readonly string[]> {
  return withOpened(volume.images, options, async ({ fs, devices, findings }) => {
    const { uuid, label, entries } = volume;
    const expected = { kind: "btrfs", label, uuid, entries };
    const isDegraded = fs.devices.some(({ index }) => index === undefined);
    for (const one of conformanceCases(expected, { devices, sha256, isDegraded })) {
      if (one.name === skip) continue;
      try {
        await one.run(fs);
      } catch (cause) {
        throw new Error(`${one.name}: ${(cause as Error).message}`, { cause });
      }
    }
    await checkXattrs(fs, volume.xattrs);
    return findings.map((finding) => finding.code);
  });
}

async function checkXattrs(fs: BtrfsFileSystem, expected: KernelVolume["xattrs"]): Promise<void> {
  let seen = 0;
  for await (const { path, inode } of walkAll(fs)) {
    const want = expected.get(text(path)) ?? {};
    const got = (await inode!.xattrs()).map(({ name, value }) => `${text(name)}=${Buffer.from(value).toString("hex")}`);
    const wanted = Object.entries(want).map(([name, value]) => `${name}=${value}`);
    if (got.sort().join() !== wanted.sort().join()) throw new Error(`${text(path)}: ${got}, expected ${wanted}`);
    if (wanted.length > 0) seen += 1;
  }
  if (seen !== expected.size) throw new Error(`${seen} files have attributes, expected ${expected.size}`);
}
