import type { CodecName } from "@guestprobe/codec";

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));

/** What the blocks below hold. */
export const HELLO = "hello hello hello hello\n";

/** The line above by the reference tools: xz, lzma, zstd, lz4, bzip2, lzop of Debian 12, and liblzo2 and liblz4. */
export const BLOCKS: Record<Exclude<CodecName, "zlib" | "gzip">, Uint8Array> = {
  zstd: hex("28b52ffd04586d00003868656c6c6f200a0100994b11a87c2ea8"),
  lzo1x: hex("1768656c6c6f202f15000a110000"),
  lzop: hex(
    "894c5a4f000d0a1a0a104020a0094001050300000d000000006b00c2270000000000295702c4000000180000001870be08bb68656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f0a00000000",
  ),
  lz4: hex("6968656c6c6f20060050656c6c6f0a"),
  "lz4-legacy": hex("02214c180f0000006968656c6c6f20060050656c6c6f0a"),
  lzma: hex("5d00008000ffffffffffffffff00341949ee8de9560ac1b620b7ffffba340000"),
  xz: hex(
    "fd377a585a000004e6d6b4460200210116000000742fe5a3e00017000c5d00341949ee8de9560ac121b000006c14ed1b3b68bb9100012818d783b76e1fb6f37d010000000004595a",
  ),
  bzip2: hex("425a68393141592653596f4f10f3000005d100001040000244a00030c002a834710dad870f1772453850906f4f10f3"),
};
