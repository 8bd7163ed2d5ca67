import { type BlockDevice, formatGuid, ImageError, isPowerOfTwo, isZero, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type Layer, type LayerContext, type LayerRun, NO_INFO, type ParentReference } from "../layer.js";
import { failer, readTable, tableDevice } from "../tables.js";
import { BLOCK_FREE, BLOCK_ZERO, VDI_SIGNATURE, VDIHEADER1PLUS } from "./layout.js";

/** Entries of the block map that one step looks at. */
const ENTRIES_AT_ONCE = 4096;
const TYPES = ["", "dynamic", "static", "undo", "differencing"];

/** A header that was checked by itself. Bytes throughout. */
export interface VdiHeader {
  readonly type: string;
  readonly mapOffset: number;
  readonly dataOffset: number;
  readonly blockSize: number;
  readonly blockExtra: number;
  readonly blocks: number;
  readonly virtualSize: number;
  readonly uuid: string;
  /** The parent's UUID; undefined for none. */
  readonly parent: string | undefined;
}

/** @throws ImageError `not-this-format`, `corrupt`, `past-end`, `unsupported`. */
export function decodeHeader(data: Uint8Array): VdiHeader {
  const fail = failer("vdi", VDIHEADER1PLUS, 0);
  const view = viewOf(data);
  if (data.length < 0x44 || VDIHEADER1PLUS.u32Signature(view, 0) !== VDI_SIGNATURE) {
    throw new ImageError("not-this-format", "the signature is not 0xbeda107f", { format: "vdi", offset: 0x40 });
  }
  if (data.length < VDIHEADER1PLUS.$size) {
    throw new ImageError("past-end", `the file of ${data.length} bytes ends inside the header`, fail.place());
  }
  return fail.guard(() => {
    const version = VDIHEADER1PLUS.u32Version(view, 0);
    if (version >>> 16 !== 1) throw fail.unsupported("u32Version", `version 0x${version.toString(16)}, known is 1.1`);
    const cbHeader = VDIHEADER1PLUS.cbHeader(view, 0);
    // Up to and with uuidLinkage; older headers of version 1 end before it.
    if (cbHeader < VDIHEADER1PLUS.$size - 72 - 16) throw fail.corrupt("cbHeader", `is ${cbHeader}`);
    const type = TYPES[VDIHEADER1PLUS.u32Type(view, 0)] ?? "";
    if (type === "") throw fail.unsupported("u32Type", `image type ${VDIHEADER1PLUS.u32Type(view, 0)}`);
    const blockSize = VDIHEADER1PLUS.cbBlock(view, 0);
    if (!isPowerOfTwo(blockSize) || blockSize < 512 || blockSize > 2 ** 30) {
      throw fail.corrupt("cbBlock", `is ${blockSize}, expected a power of two from 512 to 2^30`);
    }
    const blockExtra = VDIHEADER1PLUS.cbBlockExtra(view, 0);
    if (blockExtra % 512 !== 0) throw fail.corrupt("cbBlockExtra", `is ${blockExtra}, expected whole sectors`);
    const cbSector = VDIHEADER1PLUS.cbSector(view, 0);
    if (cbSector !== 512) throw fail.unsupported("cbSector", `sectors of ${cbSector} bytes`);
    const virtualSize = VDIHEADER1PLUS.cbDisk(view, 0);
    const blocks = VDIHEADER1PLUS.cBlocks(view, 0);
    if (blocks * blockSize < virtualSize) {
      throw fail.corrupt("cBlocks", `is ${blocks}, too few for a disk of ${virtualSize} bytes`);
    }
    const linkage = VDIHEADER1PLUS.uuidLinkage(view, 0);
    return {
      type,
      mapOffset: VDIHEADER1PLUS.offBlocks(view, 0),
      dataOffset: VDIHEADER1PLUS.offData(view, 0),
      blockSize,
      blockExtra,
      blocks,
      virtualSize,
      uuid: uuid(VDIHEADER1PLUS.uuidCreate(view, 0)),
      parent: isZero(linkage) ? undefined : uuid(linkage),
    };
  });
}

/** VirtualBox prints UUIDs in lower case, and stores the first three parts little-endian. */
function uuid(data: Uint8Array): string {
  return formatGuid(data).toLowerCase();
}

/**
 * Opens a VDI image: dynamic, static or differencing. A differencing image names its parent by UUID and nothing else:
 * that is the name that the caller's resolver is asked for.
 *
 * @throws ImageError `not-this-format`, `corrupt`, `past-end`, `unsupported`, `io`.
 */
export async function openVdi(file: BlockDevice, context: LayerContext): Promise<Layer> {
  const header = decodeHeader(await readUpTo(file, 0, 512, context.signal));
  const fail = failer("vdi", VDIHEADER1PLUS, 0);
  if (header.mapOffset + header.blocks * 4 > file.size) {
    const reason = `a block map of ${header.blocks} entries at byte ${header.mapOffset} passes the end of the file`;
    throw new ImageError("past-end", reason, fail.place("offBlocks"));
  }
  if (header.type === "differencing" && header.parent === undefined) {
    throw fail.corrupt("uuidLinkage", "is zero in a differencing image");
  }
  // A linkage in an image of another type is a leftover: VirtualBox reads it alone.
  const linked = header.type === "differencing" || header.type === "undo" ? header.parent : undefined;
  const parent: ParentReference | undefined =
    linked === undefined ? undefined : { kind: "backing", names: [linked], format: "vdi", identities: [linked] };
  return {
    format: "vdi",
    virtualSize: header.virtualSize,
    sectorSize: undefined,
    identity: header.uuid,
    parent,
    info: {
      ...NO_INFO,
      subformat: header.type,
      clusterSize: header.blockSize,
      references: parent === undefined ? [] : [parent],
    },
    locate: locator(file, tableDevice(file, context.cacheBudget), header),
  };
}

function locator(file: BlockDevice, tables: BlockDevice, header: VdiHeader): Layer["locate"] {
  const { blockSize } = header;
  const structure = "block map";
  return async (offset, length, signal) => {
    const first = Math.floor(offset / blockSize);
    const count = Math.min(Math.floor((offset + length - 1) / blockSize) - first + 1, ENTRIES_AT_ONCE);
    const mapAt = header.mapOffset + first * 4;
    const view = viewOf(await readTable(tables, mapAt, count * 4, { format: "vdi", structure }, signal));
    const runs: LayerRun[] = [];
    let at = offset;
    for (let index = 0; index < count; index += 1) {
      const inside = at - (first + index) * blockSize;
      const take = Math.min(blockSize - inside, offset + length - at);
      const entry = view.getUint32(index * 4, true);
      if (entry === BLOCK_FREE) runs.push({ kind: "absent", length: take });
      else if (entry === BLOCK_ZERO) runs.push({ kind: "zero", length: take });
      else {
        const start = header.dataOffset + entry * (blockSize + header.blockExtra) + header.blockExtra + inside;
        const available = Math.min(take, file.size - start);
        if (available <= 0) {
          if (runs.length > 0) break;
          const place = { format: "vdi", structure, offset: mapAt + index * 4 };
          const reason = `block ${first + index} lies at byte ${start}, past the end of the file at ${file.size}`;
          throw new ImageError("past-end", reason, place);
        }
        runs.push({ kind: "stored", device: file, offset: start, length: available });
        // Cut at the end of the file: the rest of the block is an error of its own.
        if (available < take) break;
      }
      at += take;
    }
    return runs;
  };
}
