import {
  type BlockDevice,
  finding,
  findingFromError,
  ImageError,
  isImageError,
  readUpTo,
  runsDevice,
  sliceDevice,
} from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { ClusterCache } from "../cluster-cache.js";
import { IMAGE_EXTENT_ALONE, IMAGE_FILE_UNREADABLE } from "../findings.js";
import { type Layer, type LayerContext, NO_INFO, type ParentReference } from "../layer.js";
import { describeReference, missingDevice } from "../missing.js";
import { tableDevice } from "../tables.js";
import type { FileReference } from "../types.js";
import { DESCRIPTOR_MAX, type Descriptor, type ExtentLine, isDescriptor, parseDescriptor } from "./descriptor.js";
import { grainLocator } from "./grain.js";
import { COWD, KDMV, SECTOR, SESPARSE } from "./layout.js";
import { readSparseHeader, type SparseExtent } from "./sparse.js";

/** A part of the disk: in a file as it is, in grains, or zeros. */
interface Part {
  readonly length: number;
  readonly file: BlockDevice | undefined;
  readonly sparse: SparseExtent | undefined;
  /** Where a flat part starts in its file. */
  readonly offset: number;
}

/**
 * Opens a VMDK: a descriptor with its extents, a sparse file with a descriptor inside, or a sparse extent by itself.
 *
 * @throws ImageError `not-this-format`, `corrupt`, `past-end`, `limit`, `unsupported`, `io`.
 */
export async function openVmdk(file: BlockDevice, context: LayerContext): Promise<Layer> {
  const head = await readUpTo(file, 0, SECTOR, context.signal);
  const magic = head.length < 8 ? 0 : viewOf(head).getUint32(0, true);
  if (magic !== KDMV && magic !== COWD && magic !== SESPARSE) {
    if (!isDescriptor(head)) {
      throw new ImageError("not-this-format", "there is neither a descriptor nor an extent", {
        format: "vmdk",
        offset: 0,
      });
    }
    const descriptor = await readDescriptor(file, 0, file.size, context);
    return assemble({ descriptor, parts: await openExtents(descriptor, context), embedded: false }, context);
  }
  const sparse = await readSparseHeader(file, context);
  const inside = sparse.descriptor;
  const descriptor =
    inside === undefined ? undefined : await readDescriptor(file, inside.offset, inside.length, context);
  if (descriptor === undefined) {
    const message = "the file is an extent without a descriptor: it is read by itself";
    context.report(finding(IMAGE_EXTENT_ALONE, message, { format: "vmdk", offset: 0 }));
  } else if (sparse.capacity === 0) {
    // The header is there to hold the descriptor, and no more.
    return assemble({ descriptor, parts: await openExtents(descriptor, context), embedded: false }, context);
  }
  const parts = [{ length: sparse.capacity, file, sparse, offset: 0 }];
  return assemble({ descriptor, parts, embedded: true }, context);
}

async function readDescriptor(
  file: BlockDevice,
  offset: number,
  length: number,
  context: LayerContext,
): Promise<Descriptor> {
  const place = { format: "vmdk", structure: "descriptor", offset };
  if (length > DESCRIPTOR_MAX) {
    throw new ImageError("limit", `a descriptor of ${length} bytes, at most ${DESCRIPTOR_MAX}`, place);
  }
  if (offset + length > file.size) {
    throw new ImageError("past-end", `a descriptor of ${length} bytes passes the end of the file`, place);
  }
  return parseDescriptor(await file.read(offset, length, context.signal), offset);
}

/** Opens what the extent lines name, as far as the caller supplies it. */
async function openExtents(descriptor: Descriptor, context: LayerContext): Promise<Part[]> {
  const parts: Part[] = [];
  for (const line of descriptor.extents) parts.push(await openExtent(line, context));
  return parts;
}

async function openExtent(line: ExtentLine, context: LayerContext): Promise<Part> {
  const { length, type, name, offset } = line;
  if (type === "ZERO") return { length, file: undefined, sparse: undefined, offset: 0 };
  const file = await context.supply([name], "extent");
  if (file === undefined) return standIn(line);
  try {
    if (type === "FLAT" || type === "VMFS") {
      if (offset + length > file.size) {
        const reason = `an extent of ${length} bytes from byte ${offset} passes the end of a file of ${file.size}`;
        throw new ImageError("past-end", reason, { format: "vmdk", offset });
      }
      return { length, file, sparse: undefined, offset };
    }
    const sparse = await readSparseHeader(file, context);
    if (sparse.capacity < length) {
      const reason = `an extent of ${sparse.capacity} bytes, where the descriptor says ${length}`;
      throw new ImageError("corrupt", reason, { format: "vmdk", offset: 0 });
    }
    return { length, file, sparse, offset: 0 };
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    // The other extents are as good as before.
    const message = `the ${describeReference(name, "extent")} cannot be opened: ${error.message}`;
    context.report({ ...findingFromError(error), ...finding(IMAGE_FILE_UNREADABLE, message) });
    return standIn(line, error);
  }
}

function standIn(line: ExtentLine, cause?: ImageError): Part {
  const file = missingDevice(line.name, "extent", line.length, cause);
  return { length: line.length, file, sparse: undefined, offset: 0 };
}

interface Assembly {
  readonly descriptor: Descriptor | undefined;
  readonly parts: readonly Part[];
  /** The descriptor lies in the one extent that it describes. */
  readonly embedded: boolean;
}

function assemble({ descriptor, parts, embedded }: Assembly, context: LayerContext): Layer {
  const locators = partLocators(parts, context);
  const starts: number[] = [];
  let virtualSize = 0;
  for (const part of parts) {
    starts.push(virtualSize);
    virtualSize += part.length;
  }
  if (!Number.isSafeInteger(virtualSize)) {
    throw new ImageError("corrupt", `the extents have ${virtualSize} bytes together`, { format: "vmdk", offset: 0 });
  }
  const parent = descriptor === undefined ? undefined : describeParent(descriptor);
  // A descriptor inside a sparse file names that very file, by whatever name it had when it was made.
  const named = embedded ? [] : (descriptor?.extents ?? []).filter((line) => line.name !== "");
  const references: FileReference[] = named.map(({ name }) => ({ kind: "extent", names: [name], format: undefined }));
  if (parent !== undefined) references.push(parent);
  const sparse = parts.find((part) => part.sparse !== undefined)?.sparse;
  return {
    format: "vmdk",
    virtualSize,
    sectorSize: undefined,
    identity: descriptor?.cid,
    parent,
    info: {
      ...NO_INFO,
      subformat: descriptor?.createType ?? sparse?.kind,
      clusterSize: sparse?.grainSize,
      references,
      compression: parts.some((part) => part.sparse?.compressed) ? "zlib" : undefined,
    },
    locate: async (offset, length, signal) => {
      const index = partAt(starts, offset);
      const start = starts[index]!;
      const take = Math.min(length, start + parts[index]!.length - offset);
      return locators[index]!(offset - start, take, signal);
    },
  };
}

/** The last part that starts at or before `offset`. */
function partAt(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function partLocators(parts: readonly Part[], context: LayerContext): Layer["locate"][] {
  // One cache for the tables of all extents, laid end to end: a split disk has thousands.
  const files = parts.flatMap(({ file, sparse }) => (file !== undefined && sparse !== undefined ? [file] : []));
  const joined = runsDevice(files.map((file) => ({ kind: "stored", device: file, offset: 0, length: file.size })));
  const tables = tableDevice(joined, context.cacheBudget / 2);
  const largest = Math.max(SECTOR, ...parts.map((part) => (part.sparse?.compressed ? part.sparse.grainSize : 0)));
  const decoded = new ClusterCache(context.cacheBudget / 2, largest);
  let at = 0;
  let keyBase = 0;
  return parts.map(({ file, sparse, offset: base, length: size }) => {
    if (file === undefined) return async (_, length) => [{ kind: "zero", length }];
    if (sparse === undefined) {
      return async (offset, length) => [{ kind: "stored", device: file, offset: base + offset, length }];
    }
    const slice = files.length === 1 ? tables : sliceDevice(tables, at, file.size);
    at += file.size;
    const locate = grainLocator({ file, tables: slice, decoded, keyBase }, sparse);
    keyBase += Math.ceil(size / sparse.grainSize);
    return locate;
  });
}

function describeParent(descriptor: Descriptor): ParentReference | undefined {
  const { parentCid, parentName } = descriptor;
  if (parentCid === undefined) return undefined;
  return { kind: "backing", names: [parentName ?? parentCid], format: "vmdk", identities: [parentCid] };
}
