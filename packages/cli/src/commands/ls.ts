import { isImageError } from "@guestprobe/block";
import { childPath, type Entry, type Inode, type Stat, toEntry } from "@guestprobe/vfs";
import { imagesThenPath } from "../arguments.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit.js";
import type { Guest, Place } from "../guest.js";
import { escapeGuestText } from "../output/escape.js";
import { imageErrorOnly } from "../output/output.js";
import { modeText, shortTimeText, sizeText } from "../output/stat-text.js";
import { type Column, columnWidths, tableLine } from "../output/table.js";
import type { Run } from "../verbs.js";
import { Entered, type ListedFile, Listing, listDirectory, readTargetOrTell } from "./listing.js";

/** What stands before the name. */
const LONG: readonly Column[] = [
  { title: "mode" },
  { title: "links", align: "right" },
  { title: "uid", align: "right" },
  { title: "gid", align: "right" },
  { title: "size", align: "right" },
  { title: "modified (UTC)" },
];

/** Prints the files of one directory, its path above them where `header` is set. */
type Show = (directory: Uint8Array, files: Listing, header: boolean) => Promise<void>;

export const ls: Run = async (context, words, options) => {
  const { images, path } = imagesThenPath(words);
  const guest = await context.open(images, options);
  const place = await directoryOrItself(context, guest, path);
  const { out } = context;
  const { device } = place.volume;
  const document = out.options.json ? out.beginDocument("guestprobe/ls/1") : undefined;
  document?.beginList("entries");
  const show: Show = async (directory, files, header) => {
    if (document !== undefined) {
      for (const file of files) {
        document.value({ device, ...(await jsonOf(context, device, directory, file)) });
        if (out.isFull) await out.pace();
      }
      return;
    }
    if (header) out.line(`${escapeGuestText(directory)}:`);
    if (options.long === true) await showLong(context, device, directory, files);
    else for (const file of files) out.line(escapeGuestText(file.name));
    await out.pace();
  };

  if (place.inode.stat.type !== "dir") {
    const name = place.path.subarray(place.path.lastIndexOf(0x2f) + 1);
    const parent = place.path.subarray(0, Math.max(1, place.path.length - name.length - 1));
    const itself = new Listing();
    itself.add(name, place.inode, undefined);
    await show(parent, itself, false);
  } else {
    await listAll(context, place, options.all === true, options.recursive === true, show);
  }
  out.endDocument();
  return EXIT.yes;
};

/** The directory that a path leads to; anything else is shown as it stands, a link by its own name and target. */
async function directoryOrItself(context: Context, guest: Guest, path: string): Promise<Place> {
  const itself = await guest.place(path, { followLast: false });
  if (itself.inode.stat.type !== "symlink") return itself;
  try {
    const target = await guest.place(path.startsWith("(") ? path : `(${itself.volume.device})${path}`);
    return target.inode.stat.type === "dir" ? target : itself;
  } catch (cause) {
    if (context.watch.ended(imageErrorOnly(cause))) throw cause;
    return itself;
  }
}

async function listAll(context: Context, place: Place, all: boolean, recursive: boolean, show: Show): Promise<void> {
  const pending: { path: Uint8Array; inode: Inode }[] = [{ path: place.path, inode: place.inode }];
  const entered = new Entered(place.path);
  entered.enter(context, place.volume.device, place.path, place.inode);
  let first = true;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { path, inode } = next;
    const files = await listDirectory(context, place.volume.device, path, inode, all);
    if (recursive && !first && !context.out.options.json) context.out.line();
    await show(path, files, recursive);
    first = false;
    if (!recursive) return;
    const below: typeof pending = [];
    for (const { name, inode: child } of files) {
      if (child?.stat.type !== "dir") continue;
      const at = childPath(path, name);
      if (entered.enter(context, place.volume.device, at, child)) below.push({ path: at, inode: child });
    }
    pending.push(...below.reverse());
  }
}

async function jsonOf(context: Context, device: string, directory: Uint8Array, file: ListedFile): Promise<Entry> {
  const path = childPath(directory, file.name);
  const { target, error } = await readTargetOrTell(context, device, path, file.inode);
  return toEntry({ path, inode: file.stat && { stat: file.stat }, target, error: file.error ?? error });
}

/**
 * A listing with what stat says. Rows are made twice, first for their widths alone: those of a large directory would
 * take more memory than its inodes.
 */
async function showLong(context: Context, device: string, directory: Uint8Array, files: Listing): Promise<void> {
  const { out } = context;
  const widths = columnWidths(LONG, rowsOf(files));
  for (const { name, stat, inode, error } of files) {
    const isLink = stat?.type === "symlink";
    const link = isLink ? await readTargetOrTell(context, device, childPath(directory, name), inode) : NO_LINK;
    const why = stat !== undefined ? link.error?.code : isImageError(error) ? error.code : "unreadable";
    const arrow = link.target === undefined ? "" : ` -> ${escapeGuestText(link.target)}`;
    const broken = why === undefined ? "" : `  [${why}]`;
    out.line(`${tableLine(LONG, widths, statCells(stat))}  ${escapeGuestText(name)}${arrow}${broken}`);
    if (out.isFull) await out.pace();
  }
}

function* rowsOf(files: Listing): Generator<readonly string[]> {
  for (const { stat } of files) yield statCells(stat);
}

const NO_LINK = { target: undefined, error: undefined };
const UNKNOWN: readonly string[] = ["??????????", "?", "?", "?", "?", "?"];

function statCells(stat: Stat | undefined): readonly string[] {
  if (stat === undefined) return UNKNOWN;
  const { nlink, uid, gid } = stat;
  return [modeText(stat), `${nlink}`, `${uid}`, `${gid}`, sizeText(stat), shortTimeText(stat.mtimeNs)];
}
