/**
 * The filters that may stand before LZMA2 in an xz block. Each turns a whole block's output back in place; `position`
 * is that of the first byte, which is the start offset in the filter's properties. Branch converters turn the absolute
 * addresses of jumps and calls back into relative ones. Source: xz file format, section 5.3; the LZMA SDK's converters.
 */
export type Filter = (data: Uint8Array, position: number) => void;

/** Adds to each byte the decoded byte `distance` before it. */
export function delta(distance: number): Filter {
  return (data) => {
    for (let i = distance; i < data.length; i++) data[i] = data[i]! + data[i - distance]!;
  };
}

/** Whether the top byte of an x86 displacement is one the encoder converts: only sign extension. */
const isSign = (byte: number): boolean => byte === 0 || byte === 0xff;

/**
 * CALL and JMP (e8, e9) with a 32-bit displacement. `mask` remembers which of the last three bytes looked like an
 * opcode, because the encoder left alone displacements that overlap one.
 */
export const x86: Filter = (data, position) => {
  const last = data.length - 5;
  let mask = 0;
  let previous = -5;
  for (let i = 0; i <= last; ) {
    if ((data[i]! & 0xfe) !== 0xe8) {
      i++;
      continue;
    }
    const gap = i - previous;
    previous = i;
    mask = gap > 5 ? 0 : shiftMask(mask, gap);
    const top = data[i + 4]!;
    if (!isSign(top) || !MASK_ALLOWED[mask >> 1] || mask >> 1 >= 0x10) {
      i++;
      mask |= 1;
      if (isSign(top)) mask |= 0x10;
      continue;
    }
    let source = data[i + 1]! | (data[i + 2]! << 8) | (data[i + 3]! << 16) | (top << 24);
    let target: number;
    for (;;) {
      target = (source - (position + i + 5)) | 0;
      if (mask === 0) break;
      const bit = MASK_BIT[mask >> 1]! * 8;
      if (!isSign((target >>> (24 - bit)) & 0xff)) break;
      source = target ^ (2 ** (32 - bit) - 1);
    }
    data[i + 1] = target;
    data[i + 2] = target >> 8;
    data[i + 3] = target >> 16;
    data[i + 4] = (target >> 24) & 1 ? 0xff : 0;
    i += 5;
    mask = 0;
  }
};

/** By the three low bits of the mask: whether conversion is allowed, and which byte to look at again. */
const MASK_ALLOWED = [true, true, true, false, true, false, false, false];
const MASK_BIT = [0, 1, 2, 2, 3, 3, 3, 3];

function shiftMask(mask: number, gap: number): number {
  let shifted = mask;
  for (let i = 0; i < gap; i++) shifted = (shifted & 0x77) << 1;
  return shifted;
}

/** PowerPC, big-endian: bl with the absolute bit clear. */
export const powerPc: Filter = (data, position) => {
  for (let i = 0; i + 4 <= data.length; i += 4) {
    if (data[i]! >> 2 !== 0x12 || (data[i + 3]! & 3) !== 1) continue;
    const source = ((data[i]! & 3) << 24) | (data[i + 1]! << 16) | (data[i + 2]! << 8) | (data[i + 3]! & ~3);
    const target = source - (position + i);
    data[i] = 0x48 | ((target >> 24) & 3);
    data[i + 1] = target >> 16;
    data[i + 2] = target >> 8;
    data[i + 3] = (data[i + 3]! & 3) | (target & ~3);
  }
};

/** ARM, little-endian: bl, condition always. */
export const arm: Filter = (data, position) => {
  for (let i = 0; i + 4 <= data.length; i += 4) {
    if (data[i + 3] !== 0xeb) continue;
    const source = (data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16)) << 2;
    const target = (source - (position + i + 8)) >> 2;
    data[i] = target;
    data[i + 1] = target >> 8;
    data[i + 2] = target >> 16;
  }
};

/** ARM Thumb: the two halves of bl. */
export const armThumb: Filter = (data, position) => {
  for (let i = 0; i + 4 <= data.length; i += 2) {
    if ((data[i + 1]! & 0xf8) !== 0xf0 || (data[i + 3]! & 0xf8) !== 0xf8) continue;
    const high = ((data[i + 1]! & 7) << 19) | (data[i]! << 11);
    const source = (high | ((data[i + 3]! & 7) << 8) | data[i + 2]!) << 1;
    const target = (source - (position + i + 4)) >> 1;
    data[i + 1] = 0xf0 | ((target >> 19) & 7);
    data[i] = target >> 11;
    data[i + 3] = 0xf8 | ((target >> 8) & 7);
    data[i + 2] = target;
    i += 2;
  }
};

/** ARM64: bl always, adrp within 512 MiB either way. */
export const arm64: Filter = (data, position) => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let i = 0; i + 4 <= data.length; i += 4) {
    const word = view.getUint32(i, true);
    if (word >>> 26 === 0x25) {
      view.setUint32(i, 0x9400_0000 | ((word - ((position + i) >>> 2)) & 0x03ff_ffff), true);
    } else if ((word & 0x9f00_0000) >>> 0 === 0x9000_0000) {
      const source = ((word >>> 29) & 3) | ((word >>> 3) & 0x001f_fffc);
      if ((source + 0x0002_0000) & 0x001c_0000) continue;
      const target = source - ((position + i) >>> 12);
      const kept = word & 0x9000_001f;
      const sign = -(target & 0x0002_0000) & 0x00e0_0000;
      view.setUint32(i, kept | ((target & 3) << 29) | ((target & 0x0003_fffc) << 3) | sign, true);
    }
  }
};

/** SPARC, big-endian: call with a displacement that is sign extension in its top bits. */
export const sparc: Filter = (data, position) => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let i = 0; i + 4 <= data.length; i += 4) {
    const word = view.getUint32(i);
    if (word >>> 22 !== 0x100 && word >>> 22 !== 0x1ff) continue;
    const target = ((word << 2) - (position + i)) >>> 2;
    const sign = (-((target >>> 22) & 1) << 22) & 0x3fff_ffff;
    view.setUint32(i, sign | (target & 0x003f_ffff) | 0x4000_0000);
  }
};

/** By the template of an IA-64 bundle: which of its three slots may hold a branch. */
const IA64_BRANCHES = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 6, 6, 0, 0, 7, 7, 4, 4, 0, 0, 4, 4, 0, 0];

/** IA-64: br.call in the slots of 16-byte bundles. Slots are 41 bits, so bits do not fall on bytes. */
export const ia64: Filter = (data, position) => {
  for (let i = 0; i + 16 <= data.length; i += 16) {
    const slots = IA64_BRANCHES[data[i]! & 0x1f]!;
    for (let slot = 0, bitPosition = 5; slot < 3; slot++, bitPosition += 41) {
      if (((slots >> slot) & 1) === 0) continue;
      const from = i + (bitPosition >> 3);
      const shift = BigInt(bitPosition & 7);
      let raw = 0n;
      for (let j = 5; j >= 0; j--) raw = (raw << 8n) | BigInt(data[from + j]!);
      let instruction = raw >> shift;
      if (((instruction >> 37n) & 0xfn) !== 0x5n || ((instruction >> 9n) & 7n) !== 0n) continue;
      const source = Number((instruction >> 13n) & 0xf_ffffn) | (Number((instruction >> 36n) & 1n) << 20);
      const target = ((source << 4) - (position + i)) >>> 4;
      instruction &= ~(0x8f_ffffn << 13n);
      instruction |= BigInt(target & 0xf_ffff) << 13n;
      instruction |= BigInt(target & 0x10_0000) << 16n;
      raw = (raw & ((1n << shift) - 1n)) | (instruction << shift);
      for (let j = 0; j < 6; j++) data[from + j] = Number((raw >> BigInt(8 * j)) & 0xffn);
    }
  }
};
