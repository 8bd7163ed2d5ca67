import {
  type BlockDevice,
  decodeText,
  decodeUtf16,
  finding,
  ImageError,
  readUpTo,
  sliceDevice,
} from "@guestprobe/block";
import { IMAGE_CHECKSUM } from "../findings.js";
import { type Layer, type LayerContext, NO_INFO, type ParentReference } from "../layer.js";
import { failer, readTable, tableDevice } from "../tables.js";
import { batLocator } from "./bat.js";
import {
  checksumHolds,
  decodeDynamicHeader,
  decodeFooter,
  isFooter,
  type ParentLocator,
  type VhdDynamicHeader,
  type VhdFooter,
} from "./footer.js";
import {
  PLATFORM_MACX,
  PLATFORM_W2KU,
  PLATFORM_W2RU,
  SECTOR,
  vhd_dynamic_header,
  vhd_footer,
  vhd_parent_locator,
} from "./layout.js";

/** Most bytes of a path in a parent locator. */
const LOCATOR_MAX = 64 << 10;

/**
 * Opens a VHD: fixed, dynamic or differencing.
 *
 * @throws ImageError `not-this-format`, `corrupt`, `past-end`, `unsupported`, `io`.
 */
export async function openVhd(file: BlockDevice, context: LayerContext): Promise<Layer> {
  const { footer, end } = await readFooter(file, context);
  const shared = {
    format: "vhd",
    virtualSize: footer.virtualSize,
    sectorSize: undefined,
    identity: footer.uniqueId,
    parent: undefined,
  } as const;
  const info = { ...NO_INFO, subformat: footer.kind, creator: footer.creator };
  if (footer.dataOffset === undefined) {
    if (footer.virtualSize > end) {
      const reason = `a fixed disk of ${footer.virtualSize} bytes in a file with room for ${end}`;
      throw new ImageError("past-end", reason, failer("vhd", vhd_footer, end).place("current_size"));
    }
    const plain = sliceDevice(file, 0, footer.virtualSize);
    const locate: Layer["locate"] = async (offset, length) => [{ kind: "stored", device: file, offset, length }];
    return { ...shared, info, plain, locate };
  }
  const tables = tableDevice(file, context.cacheBudget);
  const header = await readDynamicHeader(tables, footer.dataOffset, footer, context);
  const parent = footer.kind === "differencing" ? await readParent(tables, header, context) : undefined;
  return {
    ...shared,
    info: { ...info, clusterSize: header.blockSize, references: parent === undefined ? [] : [parent] },
    parent,
    locate: batLocator(file, tables, header),
  };
}

/** The footer at the end or, when that is gone or damaged, its copy at the front; `end` is where the data must stop. */
async function readFooter(file: BlockDevice, context: LayerContext): Promise<{ footer: VhdFooter; end: number }> {
  const [front, back] = await Promise.all([
    readUpTo(file, 0, SECTOR, context.signal),
    readUpTo(file, Math.max(0, file.size - SECTOR), SECTOR, context.signal),
  ]);
  // Footers of 511 bytes, from before 2004, lack the last byte of the reserved space, which is zero.
  const old = new Uint8Array(SECTOR);
  old.set(back.subarray(1));
  const copies = [
    { data: back, base: file.size - SECTOR },
    { data: old, base: file.size - SECTOR + 1 },
    { data: front, base: 0 },
  ].filter(({ data, base }) => base >= 0 && isFooter(data));
  if (copies[0] === undefined) {
    throw new ImageError("not-this-format", 'there is no "conectix" footer', { format: "vhd", offset: 0 });
  }
  const checksumAt = vhd_footer.$fields.checksum.offset;
  const sound = copies.find(({ data }) => checksumHolds(data, checksumAt));
  const bad = copies.find(({ data }) => !checksumHolds(data, checksumAt));
  if (bad !== undefined) {
    const place = failer("vhd", vhd_footer, bad.base).place("checksum");
    const instead = sound === undefined ? "it is used nevertheless" : `the one at byte ${sound.base} is used`;
    context.report(finding(IMAGE_CHECKSUM, `the footer has a wrong checksum: ${instead}`, place));
  }
  const { data, base } = sound ?? copies[0];
  return { footer: decodeFooter(data, base), end: base };
}

async function readDynamicHeader(
  tables: BlockDevice,
  base: number,
  footer: VhdFooter,
  context: LayerContext,
): Promise<VhdDynamicHeader> {
  const fail = failer("vhd", vhd_dynamic_header, base);
  const data = await readTable(tables, base, vhd_dynamic_header.$size, fail.place(), context.signal);
  const header = decodeDynamicHeader(data, base, footer.virtualSize);
  if (!checksumHolds(data, vhd_dynamic_header.$fields.checksum.offset)) {
    context.report(finding(IMAGE_CHECKSUM, "the dynamic header has a wrong checksum", fail.place("checksum")));
  }
  if (header.tableOffset + header.tableEntries * 4 > tables.size) {
    const reason = `${header.tableEntries} entries at byte ${header.tableOffset} pass the end of the file`;
    throw new ImageError("past-end", reason, fail.place("table_offset"));
  }
  return header;
}

/** Relative paths first: an absolute one is of the machine that the image was made on. */
const PLATFORMS = [PLATFORM_W2RU, PLATFORM_MACX, PLATFORM_W2KU];

async function readParent(
  tables: BlockDevice,
  header: VhdDynamicHeader,
  context: LayerContext,
): Promise<ParentReference> {
  const names: string[] = [];
  for (const platform of PLATFORMS) {
    for (const locator of header.locators) {
      if (locator.platform === platform) names.push(await readLocator(tables, locator, context));
    }
  }
  names.push(header.parentName);
  const distinct = [...new Set(names.filter((name) => name !== ""))];
  return {
    kind: "backing",
    // With no path at all the parent is still known by its identifier.
    names: distinct.length > 0 ? distinct : [header.parentId],
    format: "vhd",
    identities: [header.parentId],
  };
}

async function readLocator(tables: BlockDevice, locator: ParentLocator, context: LayerContext): Promise<string> {
  const { offset, length, platform } = locator;
  const place = failer("vhd", vhd_parent_locator, offset).place();
  if (length > LOCATOR_MAX) throw new ImageError("corrupt", `a path of ${length} bytes`, place);
  const data = await readTable(tables, offset, length, place, context.signal);
  return platform === PLATFORM_MACX ? decodeText(data) : decodeUtf16(data);
}
