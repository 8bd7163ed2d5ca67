/** qcow2 images after docs/interop/qcow2.txt, each field written where that page says. */
import { FileBytes } from "./bytes.js";

export type Cluster =
  | { readonly kind: "data"; readonly data: Uint8Array }
  | { readonly kind: "zero" }
  /** Raw DEFLATE or a zstd frame, as it is to be stored. */
  | { readonly kind: "compressed"; readonly data: Uint8Array }
  /** Extended L2: two bits for each of 32 subclusters, and the whole cluster's bytes. */
  | { readonly kind: "sub"; readonly allocated: number; readonly zero: number; readonly data: Uint8Array };

export interface Qcow2Options {
  readonly version?: 2 | 3;
  readonly clusterBits?: number;
  readonly size: number;
  readonly clusters?: ReadonlyMap<number, Cluster>;
  readonly backing?: string;
  readonly backingFormat?: string;
  readonly incompatible?: number;
  readonly extendedL2?: boolean;
  readonly compressionType?: number;
  readonly snapshots?: readonly { readonly id: string; readonly name: string }[];
}

/** Where the parts lie, so that tests can damage them. Bytes. */
export interface Qcow2Layout {
  readonly file: Uint8Array;
  readonly clusterSize: number;
  readonly refcountTable: number;
  readonly l1: number;
  readonly l2: readonly number[];
  readonly data: number;
  readonly snapshots: number;
}

export function buildQcow2(options: Qcow2Options): Qcow2Layout {
  const { version = 3, clusterBits = 16, size, clusters = new Map(), extendedL2 = false } = options;
  const clusterSize = 2 ** clusterBits;
  const entrySize = extendedL2 ? 16 : 8;
  const perTable = clusterSize / entrySize;
  const l1Entries = Math.ceil(size / (perTable * clusterSize));
  const file = new FileBytes();
  const refcountTable = clusterSize;
  const refcountBlock = 2 * clusterSize;
  const l1 = 3 * clusterSize;
  file.bytes(l1, new Uint8Array(Math.ceil((l1Entries * 8) / clusterSize) * clusterSize));

  const tables = new Map<number, number>();
  for (const index of [...clusters.keys()].map((cluster) => Math.floor(cluster / perTable))) {
    if (tables.has(index)) continue;
    const at = file.end(clusterSize);
    file.bytes(at, new Uint8Array(clusterSize));
    file.be(l1 + index * 8, 8, BigInt(at) | (1n << 63n));
    tables.set(index, at);
  }
  const data = file.end(clusterSize);
  for (const [index, cluster] of clusters) {
    const entry = tables.get(Math.floor(index / perTable))! + (index % perTable) * entrySize;
    if (cluster.kind === "zero") file.be(entry, 8, 1);
    else if (cluster.kind === "compressed") {
      const at = file.end(8);
      file.bytes(at, cluster.data);
      const sectors = Math.floor((at + cluster.data.length - 1) / 512) - Math.floor(at / 512);
      const shift = BigInt(62 - (clusterBits - 8));
      file.be(entry, 8, (1n << 62n) | (BigInt(sectors) << shift) | BigInt(at));
    } else {
      const at = file.end(clusterSize);
      file.bytes(at, new Uint8Array(clusterSize)).bytes(at, cluster.data);
      file.be(entry, 8, BigInt(at) | (1n << 63n));
      if (cluster.kind === "sub") file.be(entry + 8, 4, cluster.zero).be(entry + 12, 4, cluster.allocated);
    }
  }

  const snapshots = file.end(clusterSize);
  let at = snapshots;
  for (const { id, name } of options.snapshots ?? []) {
    file
      .be(at, 8, l1)
      .be(at + 8, 4, l1Entries)
      .be(at + 12, 2, id.length)
      .be(at + 14, 2, name.length);
    file
      .be(at + 16, 4, 1_000_000)
      .be(at + 36, 4, 16)
      .be(at + 48, 8, size);
    file.text(at + 56, id + name);
    at = Math.ceil((at + 56 + id.length + name.length) / 8) * 8;
  }
  file.bytes(file.end(clusterSize), new Uint8Array(0));

  file.be(0, 4, 0x514649fb).be(4, 4, version).be(20, 4, clusterBits).be(24, 8, size);
  file.be(36, 4, l1Entries).be(40, 8, l1).be(48, 8, refcountTable).be(56, 4, 1);
  if (options.snapshots !== undefined) file.be(60, 4, options.snapshots.length).be(64, 8, snapshots);
  let extension = 72;
  if (version === 3) {
    const features = (options.incompatible ?? 0) | (extendedL2 ? 16 : 0) | (options.compressionType ? 8 : 0);
    file
      .be(72, 8, features)
      .be(96, 4, 4)
      .be(100, 4, 112)
      .be(104, 1, options.compressionType ?? 0);
    extension = 112;
  }
  if (options.backingFormat !== undefined) {
    file.be(extension, 4, 0xe2792aca).be(extension + 4, 4, options.backingFormat.length);
    file.text(extension + 8, options.backingFormat);
    extension += 8 + Math.ceil(options.backingFormat.length / 8) * 8;
  }
  if (options.backing !== undefined) {
    const name = extension + 8;
    file.text(name, options.backing);
    file.be(8, 8, name).be(16, 4, new TextEncoder().encode(options.backing).length);
  }
  file.be(refcountTable, 8, refcountBlock);
  const total = Math.ceil(file.size / clusterSize);
  for (let cluster = 0; cluster < Math.min(total, clusterSize / 2); cluster += 1) {
    file.be(refcountBlock + cluster * 2, 2, 1);
  }
  const l2 = [...tables.values()];
  return { file: file.finish(), clusterSize, refcountTable, l1, l2, data, snapshots };
}
