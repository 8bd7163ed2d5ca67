import {
  type BlockDevice,
  finding,
  findingFromError,
  ImageError,
  isImageError,
  type Mapping,
  mappedDevice,
  type Run,
} from "@guestprobe/block";
import { IMAGE_FILE_MISSING, IMAGE_FILE_UNREADABLE, IMAGE_PARENT_MISMATCH } from "./findings.js";
import type { Layer, LayerContext, LayerRun, ParentReference } from "./layer.js";
import { describeReference, missingDevice } from "./missing.js";
import { quoteName } from "./name.js";
import { openLayer } from "./open-layer.js";
import type { AllocationRun, DiskImage, ImageFormat, OpenImageOptions } from "./types.js";

/** Images in one chain. Hosts limit it to 30 or so; each costs memory and a look-up for every read that falls through. */
const MAX_DEPTH = 64;
const DEFAULT_BUDGET = 32 << 20;

/** What the format names of headers mean to us; a name that is not here is looked up by content. */
const FORMAT_NAMES: Readonly<Record<string, ImageFormat>> = {
  raw: "raw",
  file: "raw",
  host_device: "raw",
  qcow2: "qcow2",
  vpc: "vhd",
  vhd: "vhd",
  vhdx: "vhdx",
  vmdk: "vmdk",
  vdi: "vdi",
};

/** One image of a chain while it is opened: how deep it lies, and what it may not lead back to. */
interface Position {
  readonly depth: number;
  readonly above: readonly BlockDevice[];
  readonly budget: number;
}

/** Opens `file` and, as far as the caller supplies them, the images below it. */
export async function openChain(
  file: BlockDevice,
  format: ImageFormat | undefined,
  options: OpenImageOptions,
  position: Position = { depth: 0, above: [], budget: options.cacheBudget ?? DEFAULT_BUDGET },
): Promise<DiskImage> {
  const { layer } = await openOne(file, format, options, position);
  return layer;
}

async function openOne(
  file: BlockDevice,
  format: ImageFormat | undefined,
  options: OpenImageOptions,
  position: Position,
): Promise<{ layer: DiskImage; identity: string | undefined }> {
  const layer = await openLayer(file, format, contextFor(options, position));
  const below = layer.parent === undefined ? undefined : await openParent(file, layer, layer.parent, options, position);
  return { layer: compose(layer, below), identity: layer.identity };
}

function contextFor(options: OpenImageOptions, position: Position): LayerContext {
  const report = options.report ?? (() => {});
  return {
    report,
    signal: options.signal,
    // Each image below gets half of what the one above it has, so that all together stay under the budget.
    cacheBudget: position.budget / 2,
    snapshot: position.depth === 0 ? options.snapshot : undefined,
    async supply(names, kind) {
      for (const name of names) {
        const file = await options.resolve?.(name, kind, position.depth);
        if (file !== undefined) return file;
      }
      const what = names.map((name) => describeReference(name, kind)).join(", also known as ");
      report(finding(IMAGE_FILE_MISSING, `the image needs the ${what}, which was not supplied`));
      return undefined;
    },
  };
}

/** What lies below an image: an image, or what stands in for one that is not to be had. */
interface Below {
  readonly device: BlockDevice;
  readonly image: DiskImage | undefined;
}

async function openParent(
  file: BlockDevice,
  layer: Layer,
  parent: ParentReference,
  options: OpenImageOptions,
  position: Position,
): Promise<Below> {
  const context = contextFor(options, position);
  const name = parent.names[0] ?? "";
  const missing = (cause?: ImageError): Below => ({
    device: missingDevice(name, "backing", layer.virtualSize, cause),
    image: undefined,
  });
  const found = await context.supply(parent.names, "backing");
  if (found === undefined) return missing();
  const above = [...position.above, file];
  try {
    if (above.includes(found)) throw new ImageError("corrupt", "the chain of backing files leads back to itself");
    if (above.length >= MAX_DEPTH) throw new ImageError("limit", `more than ${MAX_DEPTH} images in a chain`);
    const format = FORMAT_NAMES[parent.format ?? ""];
    const next = { depth: position.depth + 1, above, budget: position.budget / 2 };
    const { layer: image, identity } = await openOne(found, format, options, next);
    checkIdentity(parent, identity, context);
    return { device: image.device, image };
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    const message = `the ${describeReference(name, "backing")} cannot be opened: ${error.message}`;
    context.report({ ...findingFromError(error), ...finding(IMAGE_FILE_UNREADABLE, message) });
    return missing(error);
  }
}

function checkIdentity(parent: ParentReference, identity: string | undefined, context: LayerContext): void {
  if (identity === undefined || parent.identities.length === 0 || parent.identities.includes(identity)) return;
  const expected = parent.identities.map(quoteName).join(" or ");
  const message = `the backing file is ${quoteName(identity)}, the image was made from ${expected}`;
  context.report(finding(IMAGE_PARENT_MISMATCH, message));
}

/** An image over what lies below it. */
function compose(layer: Layer, below: Below | undefined): DiskImage {
  const mapping: Mapping = {
    size: layer.virtualSize,
    sectorSize: layer.sectorSize,
    async locate(offset, length, signal) {
      const runs: Run[] = [];
      let at = offset;
      for (const run of await layer.locate(offset, length, signal)) {
        if (run.kind === "absent") runs.push(...absentRuns(below?.device, at, run.length));
        else runs.push(run);
        at += run.length;
      }
      return runs;
    },
  };
  return {
    format: layer.format,
    device: layer.plain ?? mappedDevice(mapping),
    virtualSize: layer.virtualSize,
    info: layer.info,
    backing: below?.image,
    allocation: (offset, length, signal) => allocation(layer, below, offset, length, signal),
  };
}

/** What an image below gives for a range: it may be smaller than the one above, which then has zeros. */
function absentRuns(device: BlockDevice | undefined, offset: number, length: number): Run[] {
  const stored = device === undefined ? 0 : Math.max(0, Math.min(length, device.size - offset));
  const runs: Run[] = [];
  if (device !== undefined && stored > 0) runs.push({ kind: "stored", device, offset, length: stored });
  if (stored < length) runs.push({ kind: "zero", length: length - stored });
  return runs;
}

async function* allocation(
  layer: Layer,
  below: Below | undefined,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly AllocationRun[]> {
  const end = Math.min(offset + length, layer.virtualSize);
  for (let at = offset; at < end; ) {
    let batch: AllocationRun[] = [];
    for (const run of await layer.locate(at, end - at, signal)) {
      const image = run.kind === "absent" ? below?.image : undefined;
      const inside = image === undefined ? 0 : Math.max(0, Math.min(run.length, image.virtualSize - at));
      if (image !== undefined && inside > 0) {
        if (batch.length > 0) yield batch;
        batch = [];
        for await (const deeper of image.allocation(at, inside, signal)) {
          yield deeper.map((entry) => ({ ...entry, depth: entry.depth + 1 }));
        }
      }
      if (inside < run.length) batch.push(describeRun(run, at + inside, run.length - inside));
      at += run.length;
    }
    if (batch.length > 0) yield batch;
  }
}

const KINDS = { stored: "data", decoded: "compressed", zero: "zero", absent: "absent" } as const;

function describeRun(run: LayerRun, offset: number, length: number): AllocationRun {
  const physical = run.kind === "stored" ? run.offset : run.kind === "decoded" ? run.physical : undefined;
  return { offset, length, kind: KINDS[run.kind], depth: 0, physical };
}
