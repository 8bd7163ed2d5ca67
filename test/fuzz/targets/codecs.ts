import { deflateSync, gzipSync } from "node:zlib";
import { CODEC_NAMES, type CodecName, loadDecoder } from "@guestprobe/codec";
import { BLOCKS } from "../../lib/codec-samples.js";
import { fixtures } from "../../lib/fixtures.js";
import { Happened, type Seed, type Target } from "../lib/target.js";

/** Most bytes that a case may decode to: enough that a bomb would show, few enough that none takes long. */
const MAX = 4 << 20;
const TEXT = Buffer.from("GRUB under Xen ".repeat(600));

/** Compressed metadata of real volumes: the codec's stretch behind the superblock. */
function fromVolume(name: string): readonly Seed[] {
  const volume = fixtures("squashfs").find((fixture) => fixture.name === name);
  return volume === undefined ? [] : [{ name: `${name} volume`, bytes: volume.image().subarray(96, 4096) }];
}

const VOLUME_OF: Partial<Record<CodecName, string>> = {
  zstd: "zstd",
  xz: "xz",
  lzma: "lzma",
  lzo1x: "lzo",
  lz4: "lz4hc",
};

function seedsOf(name: CodecName): readonly Seed[] {
  if (name === "zlib") return [{ name: "text", bytes: new Uint8Array(deflateSync(TEXT)) }];
  if (name === "gzip") return [{ name: "text", bytes: new Uint8Array(gzipSync(TEXT)) }];
  return [{ name: "sample", bytes: BLOCKS[name] }, ...fromVolume(VOLUME_OF[name] ?? "")];
}

export const CODEC_TARGETS: readonly Target[] = CODEC_NAMES.map((name) => ({
  name,
  seeds: () => seedsOf(name),
  async exercise(data, variant) {
    const happened = new Happened();
    const most = variant % 2 === 0 ? MAX : variant % 65_536;
    const bound = variant % 2 === 0 ? { max: most } : { exact: most };
    const trailing = (variant >> 17) % 2 === 0 ? ("refuse" as const) : ("ignore" as const);
    const decode = await loadDecoder(name);
    const out = await happened.attempt(() => decode(data, bound, { trailing }));
    if (out !== undefined && out.length > most)
      throw new Error(`${out.length} bytes came out, ${most} at most were asked for`);
    happened.note(out === undefined ? "refused" : `decoded ${Math.ceil(Math.log2(out.length + 1))}`);
    return happened.what;
  },
}));
