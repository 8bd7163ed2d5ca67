import { crc32c } from "@guestprobe/block";
import {
  btrfs_chunk,
  btrfs_header,
  btrfs_item,
  btrfs_key_ptr,
  btrfs_root_item,
  btrfs_stripe,
  btrfs_super_block,
} from "@guestprobe/btrfs/layout";

const SUPER = 0x1_0000;

/**
 * An image to be damaged field by field: its checksums are CRC-32C, its profile is single, and its trees are leaves.
 * What was damaged is whole again after `reset`.
 */
export class BtrfsEditor {
  readonly image: Uint8Array;
  readonly view: DataView;
  readonly nodesize: number;
  readonly #pristine: Uint8Array;
  /** Byte offset of each tree's leaf, by the tree's id. */
  readonly #leaves = new Map<number, number>();
  readonly #spare: number;

  constructor(pristine: Uint8Array) {
    this.#pristine = pristine;
    this.image = pristine.slice();
    this.view = new DataView(this.image.buffer);
    this.nodesize = btrfs_super_block.nodesize(this.view, SUPER);
    const { view } = this;
    const array = SUPER + btrfs_super_block.$fields.sys_chunk_array.offset;
    const moves: { readonly logical: bigint; readonly length: bigint; readonly by: bigint }[] = [];
    const add = (key: number, chunk: number): void => {
      const logical = this.get(key + 9, 8);
      const by = this.get(chunk + btrfs_chunk.$size + btrfs_stripe.$fields.offset.offset, 8) - logical;
      moves.push({ logical, length: this.get(chunk, 8), by });
    };
    const physical = (address: number): number => {
      const logical = BigInt(address);
      const move = moves.find((one) => logical >= one.logical && logical < one.logical + one.length);
      return Number(logical + move!.by);
    };
    add(array, array + 17);
    const chunks = physical(btrfs_super_block.chunk_root(view, SUPER));
    for (const { header, data } of this.#items(chunks, 228)) add(header, data);
    const roots = physical(btrfs_super_block.root(view, SUPER));
    this.#leaves.set(3, chunks).set(1, roots);
    for (const { header, data } of this.#items(roots, 132)) {
      this.#leaves.set(Number(this.get(header, 8)), physical(btrfs_root_item.bytenr(view, data)));
    }
    this.#spare = this.#findSpare(this.leafOf(263));
  }

  /** Undoes all changes to the superblock, to leaves, and to the spare node. */
  reset(): this {
    const undo = (at: number, length: number): void => this.image.set(this.#pristine.subarray(at, at + length), at);
    undo(SUPER, 4096);
    for (const leaf of [...this.#leaves.values(), this.#spare]) undo(leaf, this.nodesize);
    return this;
  }

  /** Writes a little-endian number of 1, 2, 4 or 8 bytes. */
  set(at: number, size: number, value: number | bigint): void {
    for (let n = 0, rest = BigInt(value); n < size; n += 1, rest >>= 8n) this.image[at + n] = Number(rest & 0xffn);
  }

  get(at: number, size: number): bigint {
    let value = 0n;
    for (let n = size - 1; n >= 0; n -= 1) value = (value << 8n) | BigInt(this.image[at + n]!);
    return value;
  }

  /** Makes the checksum of the superblock right again. */
  repairSuper(): void {
    this.set(SUPER, 4, crc32c(this.image.subarray(SUPER + 32, SUPER + 4096)));
  }

  repairNode(node: number): void {
    this.set(node, 4, crc32c(this.image.subarray(node + 32, node + this.nodesize)));
  }

  /** Byte offset of the leaf that is all of a tree. */
  leafOf(tree: number): number {
    const leaf = this.#leaves.get(tree);
    if (leaf === undefined || btrfs_header.level(this.view, leaf) !== 0) throw new Error(`tree ${tree} is no leaf`);
    return leaf;
  }

  #items(leaf: number, type: number): { readonly header: number; readonly data: number }[] {
    const headers = Array.from(
      { length: btrfs_header.nritems(this.view, leaf) },
      (_, slot) => leaf + btrfs_header.$size + slot * btrfs_item.$size,
    );
    return headers
      .filter((header) => this.image[header + 8] === type)
      .map((header) => ({ header, data: leaf + btrfs_header.$size + btrfs_item.offset(this.view, header) }));
  }

  /** Where the header and the data of an item lie: of the `nth` of that type. */
  item(leaf: number, type: number, nth = 0): { readonly header: number; readonly data: number } {
    const found = this.#items(leaf, type)[nth];
    if (found === undefined) throw new Error(`no item ${nth} of type ${type} in the leaf at byte ${leaf}`);
    return found;
  }

  /** Where the data of the root item of a tree lies. */
  rootItem(tree: number): number {
    return this.#items(this.leafOf(1), 132).find(({ header }) => this.get(header, 8) === BigInt(tree))!.data;
  }

  /**
   * Puts an inner node above `leaf`, in `spare`, an unused node of the same chunk. Answers where its one child pointer
   * lies.
   */
  addRoot(leaf: number, spare: number): number {
    const { image, view } = this;
    image.copyWithin(spare, leaf, leaf + btrfs_header.$size);
    image.fill(0, spare + btrfs_header.$size, spare + this.nodesize);
    const logical = btrfs_header.bytenr(view, leaf) + spare - leaf;
    this.set(spare + btrfs_header.$fields.bytenr.offset, 8, logical);
    this.set(spare + btrfs_header.$fields.nritems.offset, 4, 1);
    this.set(spare + btrfs_header.$fields.level.offset, 1, 1);
    const pointer = spare + btrfs_header.$size;
    image.copyWithin(pointer, leaf + btrfs_header.$size, leaf + btrfs_header.$size + 17);
    this.set(pointer + btrfs_key_ptr.$fields.blockptr.offset, 8, btrfs_header.bytenr(view, leaf));
    this.set(pointer + btrfs_key_ptr.$fields.generation.offset, 8, btrfs_header.generation(view, leaf));
    this.repairNode(spare);
    return pointer;
  }

  /** Byte offset near `leaf` where a node could lie and nothing is stored. */
  #findSpare(leaf: number): number {
    for (let at = leaf + this.nodesize; at + this.nodesize <= this.image.length; at += this.nodesize) {
      if (this.image.subarray(at, at + this.nodesize).every((byte) => byte === 0)) return at;
    }
    throw new Error("no unused node");
  }

  get spare(): number {
    return this.#spare;
  }
}
