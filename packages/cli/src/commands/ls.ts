import { isImageError } from "@guestprobe/block";
import { childPath, type Entry, type Inode, type Stat, toEntry } from "@guestprobe/vfs";
import { imagesThenPath } from "../arguments.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit.js";
import type { Place } from "../guest.js";
import { escapeGuestText } from "../output/escape.js";
import { findingJson } from "../output/output.js";
import { modeText, shortTimeText, sizeText } from "../output/stat-text.js";
import { type Column, columnWidths, tableLine } from "../output/table.js";
import type { Run } from "../verbs.js";
import { Entered, type ListedFile, listDirectory, listed, readTargetOrTell } from "./listing.js";

/** What stands before the name. */
const LONG: readonly Column[] = [
  { title: "mode" },
  { title: "links", align: "right" },
  { title: "uid", align: "right" },
  { title: "gid", align: "right" },
  { title: "size", align: "right" },
  { title: "modified (UTC)" },
];

interface Listing {
  readonly path: Uint8Array;
  readonly files: readonly ListedFile[];
}

export const ls: Run = async (context, words, options) => {
  const { images, path } = imagesThenPath(words);
  const guest = await context.open(images, options);
  const place = await guest.place(path);
  const { out } = context;
  const { device } = place.volume;
  const entries: (Entry & { device: string })[] = [];
  const show = async ({ path: directory, files }: Listing, header: boolean): Promise<void> => {
    if (out.options.json) {
      for (const file of files) entries.push({ device, ...(await jsonOf(context, device, directory, file)) });
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
    await show({ path: parent, files: [listed(name, place.inode, undefined)] }, false);
  } else {
    await listAll(context, place, options.all === true, options.recursive === true, show);
  }
  if (out.options.json) {
    out.json({ schema: "guestprobe/ls/1", entries, findings: out.log.findings.map(findingJson) });
  }
  return EXIT.yes;
};

async function listAll(
  context: Context,
  place: Place,
  all: boolean,
  recursive: boolean,
  show: (listing: Listing, header: boolean) => Promise<void>,
): Promise<void> {
  const pending: { path: Uint8Array; inode: Inode }[] = [{ path: place.path, inode: place.inode }];
  const entered = new Entered();
  entered.enter(context, place.volume.device, place.path, place.inode);
  let first = true;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { path, inode } = next;
    const files = (await listDirectory(context, place.volume.device, path, inode)).filter(
      (file) => all || file.name[0] !== 0x2e,
    );
    if (recursive && !first && !context.out.options.json) context.out.line();
    await show({ path, files }, recursive);
    first = false;
    if (!recursive) return;
    const below = files.flatMap(({ name, inode: child }) => {
      if (child?.stat.type !== "dir") return [];
      const at = childPath(path, name);
      return entered.enter(context, place.volume.device, at, child) ? [{ path: at, inode: child }] : [];
    });
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
async function showLong(
  context: Context,
  device: string,
  directory: Uint8Array,
  files: readonly ListedFile[],
): Promise<void> {
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

function* rowsOf(files: readonly ListedFile[]): Generator<readonly string[]> {
  for (const { stat } of files) yield statCells(stat);
}

const NO_LINK = { target: undefined, error: undefined };
const UNKNOWN: readonly string[] = ["??????????", "?", "?", "?", "?", "?"];

function statCells(stat: Stat | undefined): readonly string[] {
  if (stat === undefined) return UNKNOWN;
  const { nlink, uid, gid } = stat;
  return [modeText(stat), `${nlink}`, `${uid}`, `${gid}`, sizeText(stat), shortTimeText(stat.mtimeNs)];
}
