import { decodeText, ImageError, toHex } from "@guestprobe/block";
import { type Extent, type Inode, textPair, toEntry, type Xattr } from "@guestprobe/vfs";
import { imagesThenPath } from "../arguments.js";
import { EXIT, exitCodeOf } from "../exit.js";
import { deviceText, escapeGuestText } from "../output/escape.js";
import { findingJson, imageErrorOnly } from "../output/output.js";
import { modeText, sizeText, timeText } from "../output/stat-text.js";
import { table } from "../output/table.js";
import type { Run } from "../verbs.js";
import { readTarget } from "./listing.js";

/** Runs of a fragmented file that are shown to people; `--json` has them all. */
const SHOWN_EXTENTS = 20;

export const stat: Run = async (context, words, options) => {
  const { images, path } = imagesThenPath(words);
  const guest = await context.open(images, options);
  const place = await guest.place(path, { followLast: options.dereference === true });
  const { inode } = place;
  const { out } = context;
  const link = await readTarget(inode);
  const xattrs = await orError(inode.xattrs());
  const extents =
    inode.stat.type === "file" ? await orError(collectExtents(inode, context.limits.entries)) : { value: [] };
  const error = link.error ?? xattrs.error ?? extents.error;
  if (out.options.json) {
    out.json({
      schema: "guestprobe/stat/1",
      device: place.volume.device,
      ...toEntry({ path: place.path, inode, target: link.target, error }),
      flags: inode.flags,
      offset: inode.offset ?? null,
      volumeStart: place.volume.start ?? null,
      xattrs: (xattrs.value ?? []).map(xattrJson),
      extents: (extents.value ?? []).map(extentJson),
      findings: out.log.findings.map(findingJson),
    });
    return error === undefined ? EXIT.yes : exitCodeOf(error);
  }
  const { stat: s } = inode;
  const target = link.target === undefined ? "" : ` -> ${escapeGuestText(link.target)}`;
  const rows: [string, string][] = [
    ["file", `${deviceText(place.volume.device)}${escapeGuestText(place.path)}${target}`],
    ["type", s.type],
    [s.rdev === undefined ? "size" : "device", sizeText(s)],
    ["mode", `${s.mode.toString(8).padStart(4, "0")}  ${modeText(s)}`],
    ["owner", `uid ${s.uid}, gid ${s.gid}`],
    ["links", String(s.nlink)],
    ["inode", `${s.ino}${inode.offset === undefined ? "" : ` (at byte ${inode.offset} of the volume)`}`],
    ["modified", timeText(s.mtimeNs)],
    ["accessed", timeText(s.atimeNs)],
    ["changed", timeText(s.ctimeNs)],
    ["created", s.crtimeNs === undefined ? "not recorded" : timeText(s.crtimeNs)],
  ];
  if (inode.flags.length > 0) rows.push(["flags", inode.flags.join(", ")]);
  for (const { name, value } of xattrs.value ?? []) {
    rows.push(["attribute", `${escapeGuestText(name)} = ${escapeGuestText(value)}`]);
  }
  for (const [name, text] of rows) out.line(`${name.padStart(9)}  ${text}`);
  out.lines(extentLines(extents.value ?? []));
  if (error !== undefined) {
    out.error(error);
    return exitCodeOf(error);
  }
  return EXIT.yes;
};

/** The value, or the error about the image that stood in its way. */
async function orError<T>(promise: Promise<T>): Promise<{ value?: T; error?: ImageError }> {
  try {
    return { value: await promise };
  } catch (cause) {
    return { error: imageErrorOnly(cause) };
  }
}

async function collectExtents(inode: Inode, most: number): Promise<Extent[]> {
  const all: Extent[] = [];
  for await (const batch of inode.extents()) {
    all.push(...batch);
    if (all.length > most) throw new ImageError("limit", `more than ${most} extents`, { offset: inode.offset });
  }
  return all;
}

function extentLines(extents: readonly Extent[]): string[] {
  if (extents.length === 0) return [];
  const rows = extents
    .slice(0, SHOWN_EXTENTS)
    .map((extent) => [
      String(extent.logical),
      String(extent.length),
      extent.encoding === undefined ? extent.kind : `${extent.kind} (${extent.encoding})`,
      extent.physical === undefined ? "-" : String(extent.physical),
    ]);
  const columns = [
    { title: "from byte", align: "right" },
    { title: "bytes", align: "right" },
    { title: "kind" },
    { title: "at byte of the volume", align: "right" },
  ] as const;
  const more = extents.length - rows.length;
  return ["", ...table(columns, rows), ...(more > 0 ? [`${more} more (--json has all)`] : [])];
}

const xattrJson = ({ name, value }: Xattr): Record<string, unknown> => ({
  ...textPair("name", name),
  value: decodeText(value),
  valueHex: toHex(value),
});

const extentJson = (extent: Extent): Record<string, unknown> => ({
  kind: extent.kind,
  logical: extent.logical,
  length: extent.length,
  physical: extent.physical ?? null,
  device: extent.device ?? 0,
  physicalLength: extent.physicalLength ?? null,
  encoding: extent.encoding ?? null,
});
