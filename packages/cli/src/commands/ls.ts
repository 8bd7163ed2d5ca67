import { compareBytes, isImageError } from "@guestprobe/block";
import { childPath, type Entry, type Inode, toEntry } from "@guestprobe/vfs";
import { imagesThenPath } from "../arguments.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit.js";
import type { Place } from "../guest.js";
import { escapeGuestText } from "../output/escape.js";
import { findingJson } from "../output/output.js";
import { modeText, shortTimeText, sizeText } from "../output/stat-text.js";
import { type Column, table } from "../output/table.js";
import type { Run } from "../verbs.js";
import { Entered, type ListedFile, listDirectory, readTargetOrTell } from "./listing.js";

const LONG: readonly Column[] = [
  { title: "mode" },
  { title: "links", align: "right" },
  { title: "uid", align: "right" },
  { title: "gid", align: "right" },
  { title: "size", align: "right" },
  { title: "modified (UTC)" },
  { title: "name" },
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
    if (options.long === true) out.lines((await longTable(context, device, directory, files)).slice(1));
    else for (const file of files) out.line(escapeGuestText(file.name));
    await out.pace();
  };

  if (place.inode.stat.type !== "dir") {
    const name = place.path.subarray(place.path.lastIndexOf(0x2f) + 1);
    const parent = place.path.subarray(0, Math.max(1, place.path.length - name.length - 1));
    await show({ path: parent, files: [{ name, inode: place.inode, error: undefined }] }, false);
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
  return toEntry({ path, inode: file.inode, target, error: file.error ?? error });
}

async function longTable(
  context: Context,
  device: string,
  directory: Uint8Array,
  files: readonly ListedFile[],
): Promise<string[]> {
  const rows: string[][] = [];
  for (const { name, inode, error } of files.toSorted((a, b) => compareBytes(a.name, b.name))) {
    if (inode === undefined) {
      const why = isImageError(error) ? error.code : "unreadable";
      rows.push(["??????????", "?", "?", "?", "?", "?", `${escapeGuestText(name)}  [${why}]`]);
      continue;
    }
    const { stat } = inode;
    const link = await readTargetOrTell(context, device, childPath(directory, name), inode);
    const arrow = link.target === undefined ? "" : ` -> ${escapeGuestText(link.target)}`;
    const broken = link.error === undefined ? "" : `  [${link.error.code}]`;
    rows.push([
      modeText(stat),
      String(stat.nlink),
      String(stat.uid),
      String(stat.gid),
      sizeText(stat),
      shortTimeText(stat.mtimeNs),
      `${escapeGuestText(name)}${arrow}${broken}`,
    ]);
  }
  return table(LONG, rows);
}
