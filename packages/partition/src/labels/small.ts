/** Tables of home computers, and of Plan 9. */
import { decodeText, hasBit, isImageError, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { TABLE_CHECKSUM, TABLE_COUNT, TABLE_LOOP, TABLE_UNREADABLE } from "../findings.js";
import {
  ACORN_BOOT_AT,
  ACORN_NATIVE,
  ACORN_SWAP,
  AMIGA_END,
  AMIGA_PART,
  AMIGA_PLACES,
  AMIGA_RDSK,
  acorn_boot,
  acorn_entry,
  amiga_partition,
  amiga_rdb,
} from "../layout-labels.js";
import { type Label, type LabelEntry, type LabelPlace, sumWords } from "./label.js";

const SECTOR = 512;
const MAX_AMIGA = 128;

/** An Amiga rigid disk block, and the list of partitions that it begins. */
export async function readAmiga(place: LabelPlace): Promise<Label | undefined> {
  const { device, start, note, signal } = place;
  const view = viewOf(start);
  const index = Array.from({ length: AMIGA_PLACES }, (_, block) => block * SECTOR).find(
    (at) => at + SECTOR <= start.length && amiga_rdb.rdb_ID(view, at) === AMIGA_RDSK,
  );
  if (index === undefined) return undefined;
  const where = { format: "amiga", structure: "RigidDiskBlock", offset: index };
  if (sumWords(view, index, SECTOR) !== 0) {
    note(TABLE_CHECKSUM, "the words of the block do not add up to zero", { ...where, field: "rdb_ChkSum" });
  }
  const entries: LabelEntry[] = [];
  const seen = new Set<number>();
  for (let block = amiga_rdb.rdb_PartitionList(view, index); block !== AMIGA_END; ) {
    const at = block * SECTOR;
    const entryAt = { format: "amiga", structure: "PartitionBlock", offset: at };
    if (seen.has(block)) {
      note(TABLE_LOOP, `the list leads back to block ${block}`, { ...entryAt, field: "pb_Next" });
      break;
    }
    if (seen.size >= MAX_AMIGA) {
      note(TABLE_COUNT, `more than ${MAX_AMIGA} partitions`, { ...entryAt, field: "pb_Next" });
      break;
    }
    seen.add(block);
    let data: Uint8Array;
    try {
      data = await readUpTo(device, at, SECTOR, signal);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      note(TABLE_UNREADABLE, error.reason, entryAt);
      break;
    }
    const part = viewOf(data);
    if (data.length < SECTOR || amiga_partition.pb_ID(part, 0) !== AMIGA_PART) {
      note(TABLE_UNREADABLE, `no partition block at byte ${at}`, { ...entryAt, field: "pb_ID" });
      break;
    }
    if (sumWords(part, 0, SECTOR) !== 0) {
      note(TABLE_CHECKSUM, "the words of the block do not add up to zero", { ...entryAt, field: "pb_ChkSum" });
    }
    entries.push(amigaEntry(part, entries.length + 1, at));
    block = amiga_partition.pb_Next(part, 0);
  }
  return {
    kind: "amiga",
    offset: index,
    sectorSize: SECTOR,
    slots: MAX_AMIGA,
    entries,
    used: [index, ...[...seen].map((block) => block * SECTOR)].map((offset) => ({ offset, length: SECTOR })),
  };
}

function amigaEntry(view: DataView, number: number, offset: number): LabelEntry {
  const cylinder = amiga_partition.de_Surfaces(view, 0) * amiga_partition.de_BlocksPerTrack(view, 0) * SECTOR;
  const [low, high] = [amiga_partition.de_LowCyl(view, 0), amiga_partition.de_HighCyl(view, 0)];
  const name = amiga_partition.pb_DriveName(view, 0);
  const dosType = amiga_partition.de_DosType(view, 0);
  const tag = [24, 16, 8].map((shift) => String.fromCharCode((dosType >>> shift) & 0xff)).join("");
  return {
    number,
    start: low * cylinder,
    length: Math.max(0, high - low + 1) * cylinder,
    type: {
      id: `0x${dosType.toString(16).padStart(8, "0")}`,
      name: `${tag.replace(/[^ -~]/g, "?")}\\${dosType & 0xff}`,
    },
    name: decodeText(name.subarray(1, 1 + Math.min(name[0]!, 31))) || undefined,
    active: hasBit(amiga_partition.pb_Flags(view, 0), 1),
    offset,
  };
}

const PLAN9_BYTES = 1024;

/** Plan 9's table: lines of text in sector 1, "part NAME FIRST END", sectors. */
export async function readPlan9({ start }: LabelPlace): Promise<Label | undefined> {
  // Every disk is asked, and most have no text there.
  if (start[SECTOR] !== 0x70 /* "p" */) return undefined;
  const text = decodeText(start.subarray(SECTOR, SECTOR + PLAN9_BYTES));
  const entries: LabelEntry[] = [];
  let at = SECTOR;
  for (const line of text.split("\n")) {
    const match = /^part ([0-9A-Za-z]+) (\d{1,15}) (\d{1,15})$/.exec(line);
    if (match === null) break;
    const [, name = "", first, end] = match;
    entries.push({
      number: entries.length + 1,
      start: Number(first) * SECTOR,
      length: Math.max(0, Number(end) - Number(first)) * SECTOR,
      type: { id: name, name: undefined },
      name,
      offset: at,
    });
    at += line.length + 1;
  }
  if (entries.length === 0) return undefined;
  const used = [{ offset: SECTOR, length: SECTOR }];
  return { kind: "plan", offset: SECTOR, sectorSize: SECTOR, slots: entries.length, entries, used };
}

const ACORN_LINUX = 9;
const ACORN_SLOTS = Math.floor(SECTOR / acorn_entry.$size);

/** Linux's table on an Acorn disk: its boot block says on which cylinder. */
export async function readAcorn({ device, start, note, signal }: LabelPlace): Promise<Label | undefined> {
  if (start.length < ACORN_BOOT_AT + SECTOR) return undefined;
  const view = viewOf(start);
  if ((acorn_boot.flags(view, ACORN_BOOT_AT) & 0xf) !== ACORN_LINUX) return undefined;
  let checksum = 0;
  for (const byte of start.subarray(ACORN_BOOT_AT, ACORN_BOOT_AT + SECTOR - 1)) {
    checksum = (checksum & 0xff) + (checksum >> 8) + byte;
  }
  if ((checksum & 0xff) !== acorn_boot.checksum(view, ACORN_BOOT_AT)) return undefined;
  const heads = acorn_boot.heads(view, ACORN_BOOT_AT) + ((acorn_boot.lowsector(view, ACORN_BOOT_AT) >> 6) & 1);
  const cylinder = heads * acorn_boot.secspertrack(view, ACORN_BOOT_AT) * SECTOR;
  const offset = acorn_boot.start_cylinder(view, ACORN_BOOT_AT) * cylinder;
  let data: Uint8Array;
  try {
    data = await readUpTo(device, offset, SECTOR, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    note(TABLE_UNREADABLE, error.reason, { format: "acorn", structure: "linux_part", offset });
    return undefined;
  }
  const table = viewOf(data);
  const entries: LabelEntry[] = [];
  for (let slot = 0; (slot + 1) * acorn_entry.$size <= data.length; slot += 1) {
    const at = slot * acorn_entry.$size;
    const magic = acorn_entry.magic(table, at);
    if (magic !== ACORN_NATIVE && magic !== ACORN_SWAP) break;
    entries.push({
      number: slot + 1,
      start: offset + acorn_entry.start_sect(table, at) * SECTOR,
      length: acorn_entry.nr_sects(table, at) * SECTOR,
      type: { id: `0x${magic.toString(16)}`, name: magic === ACORN_SWAP ? "Linux swap" : "Linux" },
      offset: offset + at,
    });
  }
  const used = [ACORN_BOOT_AT, offset].map((from) => ({ offset: from, length: SECTOR }));
  return { kind: "acorn", offset, sectorSize: SECTOR, slots: ACORN_SLOTS, entries, used };
}
