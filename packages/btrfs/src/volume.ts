import {
  allocate,
  type BlockDevice,
  equalBytes,
  ImageError,
  isImageError,
  ReadAhead,
  rebuildStripe,
} from "@guestprobe/block";
import { placeAt } from "@guestprobe/vfs";
import { type Chunk, mapPiece, type Piece, type Stripe, type Target } from "./chunk.js";
import { ChunkMap } from "./chunk-map.js";

/** A device that was given, and which of the volume's it is. */
export interface Member {
  readonly device: BlockDevice;
  readonly devid: number;
  readonly uuid: Uint8Array;
  /** 0: the device the volume was opened on; n: the nth of the other devices given. */
  readonly index: number;
  /** Missed the latest changes: read only where no other device has a copy. */
  readonly isStale: boolean;
}

/** A place on one of the devices. */
export interface Location {
  /** As `Member.index`. */
  readonly device: number;
  /** Bytes from the start of that device. */
  readonly physical: number;
  /** Bytes that lie there in one run. */
  readonly length: number;
}

/** One way to get at the bytes of a piece: as they are stored, or rebuilt without the stripes of these columns. */
type Way = { readonly target: Target } | { readonly without: readonly number[]; readonly withoutP: boolean };

/** Widest row of stripes in which a second damaged one is looked for. */
const MAX_GUESSED = 32;

/** Reads logical addresses of a volume, from whichever copy is there. */
export class Volume {
  readonly chunkMap = new ChunkMap();
  /** For the nodes of trees, once one of them was looked for on the device. */
  readonly #ahead = new WeakMap<Member, ReadAhead>();
  /** By devid; more than one where a seed has a device of the same number. */
  readonly #members = new Map<number, Member[]>();
  /** Members are all added before the first read, so that what a stripe resolves to never changes. */
  readonly #resolved = new WeakMap<Stripe, { readonly member: Member | undefined }>();

  /** The first member with an identity is kept: the device that the volume was opened on comes before others. */
  add(member: Member): void {
    if (this.member(member.devid, member.uuid) !== undefined) return;
    this.#members.set(member.devid, [...(this.#members.get(member.devid) ?? []), member]);
  }

  member(devid: number, uuid: Uint8Array): Member | undefined {
    return this.#members.get(devid)?.find((member) => equalBytes(member.uuid, uuid));
  }

  #memberOf(stripe: Stripe): Member | undefined {
    let known = this.#resolved.get(stripe);
    if (known === undefined) {
      known = { member: this.member(stripe.devid, stripe.deviceUuid) };
      this.#resolved.set(stripe, known);
    }
    return known.member;
  }

  /** The runs that `length` bytes from `logical` consist of. @throws ImageError `corrupt` outside of all chunks. */
  *pieces(logical: number, length: number): Generator<Piece> {
    for (let at = logical; at < logical + length; ) {
      const piece = mapPiece(this.chunkMap.find(at), at, logical + length - at);
      yield piece;
      at += piece.length;
    }
  }

  /** Where the first bytes from `logical` on are stored; undefined if only parity tells what they are. */
  locate(logical: number, length: number): Location | undefined {
    const piece = mapPiece(this.chunkMap.find(logical), logical, length);
    const copy = this.#present(piece)[0];
    if (copy === undefined) return undefined;
    return { device: this.#memberOf(copy.stripe)!.index, physical: copy.physical, length: piece.length };
  }

  /** How many ways there are to read `piece` with the devices at hand; some may turn out to be damaged. */
  ways(piece: Piece): number {
    return this.#ways(piece).length;
  }

  /** The copies on devices that are there, in the order of the chunk, stale devices last. */
  #present(piece: Piece): Target[] {
    const there: Target[] = [];
    const stale: Target[] = [];
    for (const copy of piece.copies) {
      const member = this.#memberOf(copy.stripe);
      if (member !== undefined) (member.isStale ? stale : there).push(copy);
    }
    return stale.length === 0 ? there : [...there, ...stale];
  }

  #ways(piece: Piece): Way[] {
    const ways: Way[] = this.#present(piece).map((target) => ({ target }));
    const { row } = piece;
    if (row === undefined) return ways;
    const missing = row.data.flatMap((target, index) => (this.#memberOf(target.stripe) ? [] : [index]));
    const lost = [...new Set([row.wanted, ...missing])];
    const hasP = this.#memberOf(row.p.stripe) !== undefined;
    const hasQ = row.q !== undefined && this.#memberOf(row.q.stripe) !== undefined;
    if (lost.length === 1 && hasP) ways.push({ without: lost, withoutP: false });
    if (lost.length === 1 && hasQ) ways.push({ without: lost, withoutP: true });
    if (!hasP || !hasQ) return ways;
    if (lost.length === 2) ways.push({ without: lost, withoutP: false });
    // With both parities, any other stripe may be the one that is wrong. Not tried in rows wider than arrays are: the
    // work grows with the square of the width.
    if (lost.length === 1 && row.data.length <= MAX_GUESSED) {
      for (let other = 0; other < row.data.length; other += 1) {
        if (other !== row.wanted) ways.push({ without: [row.wanted, other], withoutP: false });
      }
    }
    return ways;
  }

  /** Reads `piece` in the given way, from 0. Where it lies is said for the bytes that were not rebuilt. */
  async readPiece(
    piece: Piece,
    way: number,
    signal: AbortSignal | undefined,
    into?: Uint8Array,
  ): Promise<{ readonly data: Uint8Array; readonly from: Location | undefined }> {
    const chosen = this.#ways(piece)[way];
    if (chosen === undefined) throw this.#unreachable(piece);
    if ("target" in chosen) {
      const member = this.#memberOf(chosen.target.stripe)!;
      const data = await this.#readTarget(chosen.target, piece.length, signal, into);
      return { data, from: { device: member.index, physical: chosen.target.physical, length: piece.length } };
    }
    const row = piece.row!;
    const read = (target: Target | undefined) =>
      target === undefined ? Promise.resolve(undefined) : this.#readTarget(target, piece.length, signal);
    const needsQ = chosen.withoutP || chosen.without.length === 2;
    const [p, q, ...data] = await Promise.all([
      read(chosen.withoutP ? undefined : row.p),
      read(needsQ ? row.q : undefined),
      ...row.data.map((target, index) => read(chosen.without.includes(index) ? undefined : target)),
    ]);
    const rebuilt = rebuildStripe({ data, p, q }, row.wanted, piece.length);
    if (rebuilt === undefined) throw this.#unreachable(piece);
    return { data: rebuilt, from: undefined };
  }

  #readTarget(target: Target, length: number, signal: AbortSignal | undefined, into?: Uint8Array): Promise<Uint8Array> {
    return this.#memberOf(target.stripe)!.device.read(target.physical, length, signal, into);
  }

  #unreachable(piece: Piece): ImageError {
    const stripes = piece.row === undefined ? piece.copies : [...piece.row.data, piece.row.p];
    const devids = [...new Set(stripes.filter((target) => !this.#memberOf(target.stripe)).map((t) => t.stripe.devid))];
    return new ImageError(
      "io",
      `logical address ${piece.logical} needs device ${devids.join(" or ")}, which was not given`,
      {
        format: "btrfs",
        structure: "btrfs_chunk",
      },
    );
  }

  /**
   * `length` bytes of file data, each piece from the first copy that can be read. `onBad` hears of those that could not.
   *
   * @throws ImageError of the first copy when none can be read.
   */
  async read(
    logical: number,
    length: number,
    onBad: (piece: Piece, error: ImageError) => void,
    signal: AbortSignal | undefined,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    const pieces = [...this.pieces(logical, length)];
    const result = pieces.length === 1 ? into : (into?.subarray(0, length) ?? allocate(length));
    const parts = pieces.map((piece) => {
      const at = piece.logical - logical;
      return this.#readAny(piece, onBad, signal, result?.subarray(at, at + piece.length));
    });
    if (parts.length === 1) return parts[0]!;
    for (const [index, part] of (await Promise.all(parts)).entries()) {
      placeAt(result!, pieces[index]!.logical - logical, part);
    }
    return result!;
  }

  /** Whether all of its devices would block and not wait. */
  get blocks(): boolean {
    for (const found of this.#members.values())
      if (found.some(({ device }) => device.readNow === undefined)) return false;
    return true;
  }

  /** As `read`, of a range that lies in one piece, if its first copy's device answers without waiting. */
  readNow(logical: number, length: number, into: Uint8Array): Uint8Array | undefined {
    const piece = mapPiece(this.chunkMap.find(logical), logical, length);
    const copy = this.#present(piece)[0];
    if (copy === undefined || piece.length < length) return undefined;
    return this.#memberOf(copy.stripe)!.device.readNow?.(copy.physical, length, into);
  }

  /**
   * A node that lies in one piece, if its first copy is in memory now or its device answers without waiting: then in memory
   * of its own, past what the device keeps.
   *
   * @throws ImageError `corrupt` outside of all chunks.
   */
  nodeNow(logical: number, length: number): { readonly data: Uint8Array; readonly from: Location } | undefined {
    const piece = mapPiece(this.chunkMap.find(logical), logical, length);
    const copy = this.#present(piece)[0];
    if (copy === undefined || piece.length < length) return undefined;
    const member = this.#memberOf(copy.stripe)!;
    const data = member.device.peek?.(copy.physical, length) ?? this.#aheadOf(member).copy(copy.physical, length);
    return data && { data, from: { device: member.index, physical: copy.physical, length } };
  }

  #aheadOf(member: Member): ReadAhead {
    let ahead = this.#ahead.get(member);
    if (ahead === undefined) {
      ahead = new ReadAhead(member.device);
      this.#ahead.set(member, ahead);
    }
    return ahead;
  }

  async #readAny(
    piece: Piece,
    onBad: (piece: Piece, error: ImageError) => void,
    signal: AbortSignal | undefined,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    let first: ImageError | undefined;
    const ways = Math.max(1, this.ways(piece));
    for (let way = 0; way < ways; way += 1) {
      try {
        const { data } = await this.readPiece(piece, way, signal, into);
        if (first !== undefined) onBad(piece, first);
        return data;
      } catch (error) {
        if (!isImageError(error) || error.code === "aborted") throw error;
        first ??= error;
      }
    }
    throw first!;
  }

  /** Whether every byte of `chunk` can be read without the devices that were not given. */
  isReadable(chunk: Chunk): boolean {
    const { profile, stripes } = chunk;
    const isMissing = (stripe: Stripe): boolean => this.#memberOf(stripe) === undefined;
    if (profile.parity > 0) return stripes.filter(isMissing).length <= profile.parity;
    const group = profile.striped ? profile.copies : stripes.length;
    for (let at = 0; at < stripes.length; at += group) {
      if (stripes.slice(at, at + group).every(isMissing)) return false;
    }
    return true;
  }
}
