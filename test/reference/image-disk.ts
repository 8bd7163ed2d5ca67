/** A small guest disk, built by the real tools, and those tools' view of its images. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { BlockDevice } from "@guestprobe/block";
import { type FileDevice, openFile } from "@guestprobe/block/node";
import type { DiskImage, ResolveFile } from "@guestprobe/image";

export const MiB = 1 << 20;

export function run(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 64 << 20 });
}

/** A tool that takes its orders from standard input. */
export function feed(input: string, tool: string, ...args: string[]): void {
  execFileSync(tool, args, { input, stdio: ["pipe", "ignore", "pipe"] });
}

export const qemuImg = (...args: string[]): string => run("qemu-img", ...args);

/** Bytes that do not compress, the same in every run. */
export function noise(length: number, seed: number): Uint8Array {
  const data = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let at = 0; at < length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    data[at] = state;
  }
  return data;
}

export interface Workspace {
  readonly folder: string;
  path(name: string): string;
  remove(): void;
}

export function workspace(name: string): Workspace {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  return {
    folder,
    path: (file) => join(folder, file),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A GPT disk of 64 MiB with one ext4 of files that compress and files that do not. */
export function buildGuestDisk(work: Workspace): string {
  const disk = work.path("disk.raw");
  const tree = work.path("tree");
  mkdirSync(join(tree, "boot/grub"), { recursive: true });
  writeFileSync(join(tree, "boot/grub/grub.cfg"), "set timeout=5\nmenuentry 'Guest' { linux /boot/vmlinuz }\n");
  writeFileSync(join(tree, "boot/vmlinuz"), noise(3 * MiB, 7));
  writeFileSync(join(tree, "text"), "the same line over and over again\n".repeat(40_000));
  writeFileSync(disk, "");
  truncateSync(disk, 64 * MiB);
  const table = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\nstart=2048, type=linux\n";
  feed(table, "sfdisk", "--quiet", disk);
  run("mke2fs", "-q", "-t", "ext4", "-d", tree, "-E", `offset=${MiB}`, disk, `${62 * 1024}`);
  return disk;
}

/** SHA-256 of a range of a device, read in pieces that fit no cluster size. */
export async function hashDevice(device: BlockDevice, length = device.size, piece = 1_000_003): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < length; at += piece) hash.update(await device.read(at, Math.min(piece, length - at)));
  return hash.digest("hex");
}

/** SHA-256 of the first `length` bytes of a file, zeros appended where it ends before. */
export function hashFile(path: string, length = statSync(path).size): string {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(MiB);
  const fd = openSync(path, "r");
  try {
    for (let at = 0; at < length; ) {
      const want = Math.min(buffer.length, length - at);
      const got = readSync(fd, buffer, 0, want, at);
      if (got < want) buffer.fill(0, got, want);
      hash.update(buffer.subarray(0, want));
      at += want;
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex");
}

/** Files opened in one test, closed together. */
export class Files {
  readonly #open: FileDevice[] = [];
  readonly asked: string[] = [];

  async open(path: string): Promise<FileDevice> {
    const file = await openFile(path, { blocking: true });
    this.#open.push(file);
    return file;
  }

  /** Supplies what lies beside `image`, by the last part of the name. */
  beside(image: string): ResolveFile {
    return (name) => {
      this.asked.push(name);
      return this.open(join(dirname(image), basename(name)));
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((file) => file.close()));
  }
}

export interface QemuInfo {
  readonly format: string;
  readonly "virtual-size": number;
  readonly "cluster-size"?: number;
  readonly "backing-filename"?: string;
  readonly "format-specific"?: { readonly data: Record<string, unknown> };
  readonly snapshots?: readonly { readonly id: string; readonly name: string; readonly "date-sec": number }[];
}

export const qemuInfo = (path: string, format: string): QemuInfo =>
  JSON.parse(qemuImg("info", "-f", format, "--output=json", path)) as QemuInfo;

export interface QemuRange {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly zero: boolean;
  readonly data: boolean;
  readonly offset?: number;
}

export const qemuMap = (path: string, format: string): readonly QemuRange[] =>
  JSON.parse(qemuImg("map", "-f", format, "--output=json", path)) as QemuRange[];

interface Stretch {
  start: number;
  length: number;
  depth?: number;
  offset?: number;
}

/** What is data, neighbours joined: by the tool and by us the same list. */
function join2(stretches: readonly Stretch[]): Stretch[] {
  const joined: Stretch[] = [];
  for (const next of stretches) {
    const last = joined.at(-1);
    const follows =
      last !== undefined &&
      last.start + last.length === next.start &&
      last.depth === next.depth &&
      (last.offset === undefined ? next.offset === undefined : last.offset + last.length === next.offset);
    if (follows) last.length += next.length;
    else joined.push({ ...next });
  }
  return joined;
}

export function qemuData(ranges: readonly QemuRange[]): Stretch[] {
  return join2(
    ranges
      .filter((range) => range.data)
      .map(({ start, length, depth, offset }) => ({
        start,
        length,
        depth,
        ...(offset === undefined ? {} : { offset }),
      })),
  );
}

export async function ourData(image: DiskImage): Promise<Stretch[]> {
  const stretches: Stretch[] = [];
  for await (const runs of image.allocation(0, image.virtualSize)) {
    for (const { kind, offset, length, depth, physical } of runs) {
      if (kind === "data") stretches.push({ start: offset, length, depth, offset: physical! });
      // The tool names no offset for compressed clusters.
      if (kind === "compressed") stretches.push({ start: offset, length, depth });
    }
  }
  return join2(stretches);
}
