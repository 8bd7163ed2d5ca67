import { realpathSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { type BlockDevice, countReads, findingFromError, type ReadStats, type Report } from "@guestprobe/block";
import { type FileDevice, openFile } from "@guestprobe/block/node";
import { type DiskImage, type ImageFormat, openImage, type ResolveFile } from "@guestprobe/image";
import { UsageError } from "./exit.js";
import type { Watch } from "./limits.js";
import { imageErrorOnly } from "./output/output.js";
import type { Options } from "./verbs.js";

/** The words of --input-format; "vpc" is what QEMU calls VHD. */
export const INPUT_FORMATS: Readonly<Record<string, ImageFormat>> = {
  raw: "raw",
  qcow2: "qcow2",
  vhd: "vhd",
  vpc: "vhd",
  vhdx: "vhdx",
  vmdk: "vmdk",
  vdi: "vdi",
};

/** What the command line says about opening images. */
export interface ImageOptions {
  readonly format: ImageFormat | undefined;
  /** --backing: files that stand for those which images name. */
  readonly backing: readonly string[];
  /** --allow-backing: folders in which named files may be opened. */
  readonly folders: readonly string[];
  /** --snapshot: the internal snapshot to read, by id or by name. */
  readonly snapshot: string | undefined;
}

export function imageOptions(options: Options): ImageOptions {
  const word = options.inputFormat as string | undefined;
  return {
    format: word === undefined ? undefined : INPUT_FORMATS[word],
    backing: (options.backing as readonly string[] | undefined) ?? [],
    folders: ((options.allowBacking as readonly string[] | undefined) ?? []).map(realFolder),
    snapshot: options.snapshot as string | undefined,
  };
}

function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    throw new UsageError(`--allow-backing: there is no folder "${path}"`);
  }
}

interface Around {
  readonly options: ImageOptions;
  readonly report: Report;
  readonly watch: Watch;
  /** Takes every file that is opened: they are the caller's to close. */
  readonly files: FileDevice[];
  /** Counts what is read of all of them. */
  readonly stats: ReadStats;
  readonly cacheBudget: number;
}

/** Opens one image of the command line, whatever its container. */
export async function openHostImage(path: string, around: Around): Promise<DiskImage> {
  const { format, snapshot } = around.options;
  const file = await openCounted(path, around);
  return openImage(file, {
    format,
    snapshot,
    report: around.report,
    cacheBudget: around.cacheBudget,
    resolve: makeResolver(around.options, around.report, (name) => openCounted(name, around)),
  });
}

async function openCounted(path: string, { files, watch, stats }: Around): Promise<BlockDevice> {
  // Reads that block: nothing else runs in this process, and the thread pool would cost twenty times a warm read.
  const file = await openFile(path, { blocking: true });
  files.push(file);
  return watch.guard(countReads(file, stats));
}

/**
 * Answers for the files that an image names. A --backing file is taken for a name that ends as its own does, and else
 * for the next backing file in the chain; below an --allow-backing folder a name is looked up as it is and by its last
 * part. A link that leads out of the folder is not followed.
 */
export function makeResolver(
  { backing, folders }: ImageOptions,
  report: Report,
  open: (path: string) => Promise<BlockDevice>,
): ResolveFile {
  const unused = [...backing];
  const given = (name: string, kind: string): string | undefined => {
    const same = unused.findIndex((path) => basename(path) === lastPart(name));
    // An extent is one of many: only its name tells which.
    if (same < 0 && kind === "extent") return undefined;
    return unused.splice(Math.max(0, same), 1)[0];
  };
  return async (name, kind) => {
    const path = given(name, kind) ?? inFolders(folders, name);
    if (path === undefined) return undefined;
    try {
      return await open(path);
    } catch (cause) {
      report(findingFromError(imageErrorOnly(cause)));
      return undefined;
    }
  };
}

/** The last part of a name written on any system: "C:\\disks\\base.vhd", "file:///disks/base.vhd". */
function lastPart(name: string): string {
  return name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
}

function inFolders(folders: readonly string[], name: string): string | undefined {
  const last = lastPart(name);
  if (last === "" || last === "." || last === ".." || name.includes("\0")) return undefined;
  for (const folder of folders) {
    for (const candidate of [join(folder, name), join(folder, last)]) {
      const real = realFile(candidate);
      if (real?.startsWith(folder.endsWith(sep) ? folder : folder + sep)) return real;
    }
  }
  return undefined;
}

function realFile(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
