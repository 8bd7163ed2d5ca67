import { type BlockDevice, readUpTo } from "@guestprobe/block";
import { bytes, LE, struct, u8, u32, viewOf } from "@guestprobe/block/struct";
import { findVisible } from "./fold.js";
import type { Gate, GateVerdict } from "./types.js";

const SECTOR = 2048;
/** The fields that GRUB's driver takes. fs/iso9660.c, struct grub_iso9660_primary_voldesc. */
const grub_iso9660_voldesc = struct("grub_iso9660_voldesc", SECTOR, LE, {
  type: u8(0),
  magic: bytes(1, 5),
  volname: bytes(40, 32),
  escape: bytes(88, 3),
  rootdir_first_sector: u32(158),
  modified: bytes(830, 16),
});
const PRIMARY = 1;
const SUPPLEMENTARY = 2;
const END = 255;
/** The escape sequences of Joliet begin so; the last byte tells the level. */
const JOLIET = ["%/@", "%/C", "%/E"];
/** GRUB reads on to the end of the device where no descriptor ends the set. */
const MAX_DESCRIPTORS = 256;

const text = (data: Uint8Array): string => String.fromCharCode(...data);

/** GRUB 2.06, fs/iso9660.c, grub_iso9660_mount. */
async function judge(device: BlockDevice, signal: AbortSignal | undefined): Promise<GateVerdict> {
  const desc = grub_iso9660_voldesc;
  const refuse = (reason: string): GateVerdict => ({ verdict: "refuse", error: "bad-fs", reason });
  let chosen: DataView | undefined;
  let isJoliet = false;
  let hasRockRidge = false;
  let sector = 16;
  for (let ended = false; !ended; sector += 1) {
    const data = await readUpTo(device, sector * SECTOR, SECTOR, signal);
    const isOne = data.length === SECTOR && text(data.subarray(1, 6)) === "CD001";
    if (!isOne && sector === 16) return { verdict: "not-mine" };
    if (!isOne || sector - 16 > MAX_DESCRIPTORS) return refuse("the volume descriptors do not end");
    const view = viewOf(data);
    const type = desc.type(view, 0);
    ended = type === END;
    if (type === PRIMARY) {
      chosen = view;
      isJoliet = false;
      hasRockRidge ||= await announcesRockRidge(device, desc.rootdir_first_sector(view, 0), signal);
    } else if (type === SUPPLEMENTARY && !hasRockRidge && JOLIET.includes(text(desc.escape(view, 0)))) {
      chosen = view;
      isJoliet = true;
    }
  }
  if (chosen === undefined) return refuse("no primary volume descriptor");
  if (desc.rootdir_first_sector(chosen, 0) * SECTOR >= device.size)
    return refuse("the root directory lies past the device");
  if (await hasUdf(device, sector, signal)) {
    return refuse("GRUB asks its driver udf first, and that takes the volume");
  }
  const modified = desc.modified(chosen, 0);
  return {
    verdict: "accept",
    label: isJoliet ? jolietLabel(desc.volname(chosen, 0)) : trimmed(desc.volname(chosen, 0).slice()),
    uuid: modified.every((byte) => byte === 0) ? undefined : uuidOf(text(modified)),
  };
}

/**
 * Whether the root directory announces Rock Ridge, by an ER field beside or behind SP. fs/iso9660.c, set_rockridge. One
 * continuation area is where every writer puts it.
 */
async function announcesRockRidge(
  device: BlockDevice,
  sector: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const data = await readUpTo(device, sector * SECTOR, 255, signal);
  if (data.length < 34) return false;
  const nameLength = data[32]!;
  const start = 33 + nameLength + (nameLength % 2 === 0 ? 1 : 0);
  const area = data.subarray(start, data[0]!);
  if (text(area.subarray(0, 2)) !== "SP") return false;
  const fields = fieldsOf(area);
  if (fields.has("ER")) return true;
  const ce = fields.get("CE");
  if (ce === undefined || ce.length < 28) return false;
  const view = viewOf(ce);
  const from = view.getUint32(4, true) * SECTOR + view.getUint32(12, true);
  return fieldsOf(await readUpTo(device, from, Math.min(SECTOR, view.getUint32(20, true)), signal)).has("ER");
}

function fieldsOf(area: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const fields = new Map<string, Uint8Array>();
  for (let at = 0; at + 4 <= area.length && area[at + 2]! >= 4; at += area[at + 2]!) {
    fields.set(text(area.subarray(at, at + 2)), area.subarray(at, at + area[at + 2]!));
  }
  return fields;
}

/** UDF's own descriptors behind the others, and its anchor. fs/udf.c, grub_udf_mount. */
async function hasUdf(device: BlockDevice, from: number, signal: AbortSignal | undefined): Promise<boolean> {
  const data = await readUpTo(device, from * SECTOR, 4 * SECTOR, signal);
  const ids: string[] = [];
  for (let at = 0; at + 6 <= data.length; at += SECTOR) ids.push(text(data.subarray(at + 1, at + 6)));
  if (!ids.includes("NSR02") && !ids.includes("NSR03")) return false;
  const anchor = await readUpTo(device, 256 * SECTOR, 2, signal);
  return anchor.length === 2 && viewOf(anchor).getUint16(0, true) === 2;
}

/** Blanks at the end dropped; a NUL ends it before. */
function trimmed(name: Uint8Array): Uint8Array {
  let end = name.includes(0) ? name.indexOf(0) : name.length;
  while (end > 0 && name[end - 1] === 0x20) end -= 1;
  return name.subarray(0, end);
}

function jolietLabel(raw: Uint8Array): Uint8Array {
  const units: number[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) units.push((raw[at]! << 8) | raw[at + 1]!);
  return trimmed(new TextEncoder().encode(String.fromCharCode(...units)));
}

const uuidOf = (digits: string): string =>
  [digits.slice(0, 4), ...[4, 6, 8, 10, 12, 14].map((at) => digits.slice(at, at + 2))].join("-");

/** GRUB's driver for ISO 9660. The case of a name counts where Rock Ridge or Joliet tells it, and in no plain name. */
export const iso9660Gate: Gate = {
  driver: "iso9660",
  kinds: ["iso9660"],
  probe: (device, _version, signal) => judge(device, signal),
  lookup: (directory, name, signal) => findVisible(directory, name, "by-entry", signal),
};
