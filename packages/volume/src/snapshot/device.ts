import { type BlockDevice, ImageError, isPowerOfTwo, mappedDevice, type Run } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { lazyDevice } from "../lazy.js";
import { disk_exception, disk_header, NUM_SNAPSHOT_HDR_CHUNKS, SNAP_MAGIC, SNAPSHOT_DISK_VERSION } from "./layout.js";

/** Chunks that one store may have copied: at 4 KiB, 32 GiB. */
const MAX_EXCEPTIONS = 8 << 20;
const MAX_RUNS = 256;
/** Bytes. The kernel takes any power of two of sectors; LVM makes 4 KiB to 512 KiB. */
const MAX_CHUNK = 16 << 20;
const FORMAT = "dm-snapshot";

/**
 * The chunk size of an exception store, in bytes.
 *
 * @param data Its first 16 bytes.
 * @throws ImageError `corrupt`, `unsupported`.
 */
export function decodeSnapshotHeader(data: Uint8Array): number {
  const view = viewOf(data);
  const place = (field: keyof typeof disk_header.$fields) => ({
    format: FORMAT,
    structure: "disk_header",
    field,
    offset: disk_header.$fields[field].offset,
  });
  if (disk_header.magic(view, 0) !== SNAP_MAGIC) {
    throw new ImageError("corrupt", "the exception store of a snapshot does not begin with its magic", place("magic"));
  }
  if (disk_header.valid(view, 0) === 0) {
    throw new ImageError(
      "corrupt",
      "the snapshot is invalid: its store was full, and changes were lost",
      place("valid"),
    );
  }
  const version = disk_header.version(view, 0);
  if (version !== SNAPSHOT_DISK_VERSION) {
    throw new ImageError("unsupported", `version ${version} of an exception store`, place("version"));
  }
  const chunk = disk_header.chunk_size(view, 0) * 512;
  if (!isPowerOfTwo(chunk) || chunk > MAX_CHUNK) {
    throw new ImageError("corrupt", `chunks of ${chunk} bytes`, place("chunk_size"));
  }
  return chunk;
}

/** The exceptions of one area, and whether the table ends in it. */
export function decodeArea(
  data: Uint8Array,
  at: number,
): { readonly pairs: [number, number][]; readonly isLast: boolean } {
  const view = viewOf(data);
  const pairs: [number, number][] = [];
  for (let offset = 0; offset + disk_exception.$size <= data.length; offset += disk_exception.$size) {
    try {
      const newChunk = disk_exception.new_chunk(view, offset);
      if (newChunk === 0) return { pairs, isLast: true };
      pairs.push([disk_exception.old_chunk(view, offset), newChunk]);
    } catch (cause) {
      const { reason, structure, field } = cause as ImageError;
      throw new ImageError("corrupt", reason, { format: FORMAT, structure, field, offset: at + offset, cause });
    }
  }
  return { pairs, isLast: false };
}

/** Where the chunks that were copied lie: chunk of the origin to chunk of the store. */
async function readExceptions(
  store: BlockDevice,
  chunk: number,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, number>> {
  const perArea = chunk / disk_exception.$size;
  const found = new Map<number, number>();
  for (let area = 0; ; area += 1) {
    const at = (NUM_SNAPSHOT_HDR_CHUNKS + area * (perArea + 1)) * chunk;
    // A store that is full to the last chunk has no entry that ends its table.
    if (at + chunk > store.size) return found;
    const { pairs, isLast } = decodeArea(await store.read(at, chunk, signal), at);
    for (const [oldChunk, newChunk] of pairs) found.set(oldChunk, newChunk);
    if (isLast) return found;
    if (found.size > MAX_EXCEPTIONS) {
      const place = { format: FORMAT, structure: "disk_exception", offset: at };
      throw new ImageError("limit", `more than ${MAX_EXCEPTIONS} chunks were copied`, place);
    }
  }
}

/**
 * A snapshot: the origin, less the chunks that were copied to the store before they changed in either.
 *
 * @param size Bytes.
 */
export function snapshotDevice(size: number, origin: BlockDevice, store: BlockDevice): BlockDevice {
  return lazyDevice(size, async (signal) => {
    const chunk = decodeSnapshotHeader(await store.read(0, disk_header.$size, signal));
    const exceptions = await readExceptions(store, chunk, signal);
    return mappedDevice({
      size,
      async locate(offset, length) {
        const runs: Run[] = [];
        for (let at = offset; at < offset + length && runs.length < MAX_RUNS; ) {
          const inside = at % chunk;
          const take = Math.min(chunk - inside, offset + length - at);
          const copy = exceptions.get((at - inside) / chunk);
          runs.push(copy === undefined ? run(origin, at, take) : run(store, copy * chunk + inside, take));
          at += take;
        }
        return runs;
      },
    });
  });
}

function run(device: BlockDevice, offset: number, length: number): Run {
  if (offset + length <= device.size) return { kind: "stored", length, device, offset };
  const error = new ImageError(
    "corrupt",
    `a chunk of a snapshot lies at byte ${offset}, past the end of what holds it`,
    {
      format: FORMAT,
      structure: "disk_exception",
      offset,
    },
  );
  return { kind: "decoded", length, skip: 0, load: () => Promise.reject(error) };
}
