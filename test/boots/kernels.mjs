// A Debian kernel, and the same kernel with its payload packed by each compressor.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const run = (command, args, options = {}) =>
  execFileSync(command, args, { stdio: ["pipe", "pipe", "ignore"], maxBuffer: 1 << 28, ...options });

/** Fetches a package's file by apt and unpacks it; answers the folder. */
export function unpackPackage(work, name) {
  const folder = join(work, "packages", name);
  if (existsSync(join(folder, ".done"))) return folder;
  mkdirSync(folder, { recursive: true });
  run("apt-get", ["download", name], { cwd: folder });
  const [deb] = readdirSync(folder).filter((file) => file.endsWith(".deb"));
  run("dpkg", ["-x", deb, "."], { cwd: folder });
  writeFileSync(join(folder, ".done"), "");
  return folder;
}

/** The package that a metapackage stands for. */
export function dependencyOf(name, pattern) {
  const lines = run("apt-cache", ["depends", name]).toString().split("\n");
  return lines.map((line) => /Depends: (\S+)/.exec(line)?.[1]).find((found) => found?.match(pattern));
}

export const PACKERS = {
  xz: ["xz", "--check=crc32", "--x86", "--lzma2=preset=1,dict=32MiB", "-c"],
  gzip: ["gzip", "-6", "-n", "-c"],
  lz4: ["lz4", "-l", "-1", "-c"],
  zstd: ["zstd", "-3", "-c", "--no-check"],
  lzma: ["xz", "--format=lzma", "-1", "-c"],
  bzip2: ["bzip2", "-1", "-c"],
  lzo: ["lzop", "-1", "-c"],
};
const UNPACKERS = {
  fd377a: ["xz", "-dc", "--single-stream"],
  "1f8b08": ["gzip", "-dc"],
  "28b52f": ["zstd", "-dc"],
  "02214c": ["lz4", "-dc"],
};

/** The payload of a bzImage, unpacked by the reference tool. */
export function unpackKernel(image) {
  const at = (image[0x1f1] + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(at, at + image.readUInt32LE(0x24c));
  const [command, ...args] = UNPACKERS[payload.subarray(0, 3).toString("hex")];
  return run(command, args, { input: command === "gzip" ? payload : payload.subarray(0, -4) });
}

/**
 * The kernel with its payload packed anew and put at the end of the file. Loaders that unpack the payload themselves
 * (GRUB for PV, the toolstack) start it; the code in front, which unpacks the old payload, stays as it was.
 */
export function repack(image, compressor, vmlinux = unpackKernel(image)) {
  const [command, ...args] = PACKERS[compressor];
  const packed = run(command, args, { input: vmlinux });
  const size = Buffer.alloc(4);
  size.writeUInt32LE(vmlinux.length);
  const payload = compressor === "gzip" ? packed : Buffer.concat([packed, size]);
  const copy = Buffer.concat([image, payload]);
  copy.writeUInt32LE(image.length - (image[0x1f1] + 1) * 512, 0x248);
  copy.writeUInt32LE(payload.length, 0x24c);
  return copy;
}

/** All kernels that the boots need, in `work`: name -> path. */
export function makeKernels(work) {
  const folder = join(work, "kernels");
  mkdirSync(folder, { recursive: true });
  const name = dependencyOf("linux-image-cloud-amd64", /^linux-image-.*-cloud-amd64$/);
  const boot = join(unpackPackage(work, name), "boot");
  const [file] = readdirSync(boot).filter((entry) => entry.startsWith("vmlinuz-"));
  const original = join(boot, file);
  const kernels = { original };
  const image = readFileSync(original);
  let vmlinux;
  for (const compressor of ["xz", "gzip", "lz4", "zstd"]) {
    const path = join(folder, `vmlinuz-${compressor}`);
    kernels[compressor] = path;
    if (existsSync(path)) continue;
    vmlinux ??= unpackKernel(image);
    writeFileSync(path, repack(image, compressor, vmlinux));
  }
  return kernels;
}
