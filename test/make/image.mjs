/**
 * Writes test/fixtures/image: the sample guest in the containers that qemu-img writes, and what qemu-img says of each.
 * The identifiers that qemu-img makes up differ from run to run; nothing that is expected depends on them.
 *
 *   node test/make/image.mjs        needs qemu-img and qemu-io (Debian package qemu-utils)
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const sample = fileURLToPath(new URL("../../sample/guest.img", import.meta.url));
const target = fileURLToPath(new URL("../fixtures/image/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "make-image-"));
const at = (name) => join(scratch, name);
const tool = (name, ...args) => execFileSync(name, args, { encoding: "utf8", cwd: scratch });
const convert = (driver, name, ...options) =>
  tool("qemu-img", "convert", "-f", "raw", "-O", driver, ...options, "guest.img", name);

/** Gzip names no time and no file: the same bytes in, the same bytes out. */
const store = (name) => writeFileSync(join(target, `${name}.gz`), gzipSync(readFileSync(at(name)), { level: 9 }));

function hash(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** Where the container stores data, as the tool sees it; compressed clusters are data too. */
function dataRanges(driver, name) {
  const ranges = [];
  for (const { start, length, data } of JSON.parse(tool("qemu-img", "map", "-f", driver, "--output=json", name))) {
    if (!data) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[0] + last[1] === start) last[1] += length;
    else ranges.push([start, length]);
  }
  return ranges;
}

/** Stores one case: the image, the files beside it that it names, and what is expected of it. */
function keep(name, format, driver, { files = [], mapped = true, snapshot } = {}) {
  const info = JSON.parse(tool("qemu-img", "info", "-f", driver, "--output=json", name));
  const raw = `${name}.raw`;
  tool("qemu-img", "convert", "-f", driver, "-O", "raw", name, raw);
  const expected = {
    format,
    virtualSize: info["virtual-size"],
    clusterSize: info["cluster-size"] ?? null,
    backing: info["backing-filename"] ?? null,
    sha256: hash(at(raw)),
    data: mapped ? dataRanges(driver, name) : null,
    snapshot: snapshot ?? null,
    files,
  };
  writeFileSync(join(target, `${name}.json`), `${JSON.stringify(expected)}\n`);
  store(name);
  for (const file of files) store(file);
}

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
copyFileSync(sample, at("guest.img"));
try {
  for (const [name, ...options] of [
    ["qcow2-v2", "-o", "compat=0.10"],
    ["qcow2-512", "-o", "cluster_size=512"],
    ["qcow2-zlib", "-c"],
    ["qcow2-zstd", "-c", "-o", "compression_type=zstd"],
    ["qcow2-extended", "-o", "extended_l2=on"],
  ]) {
    convert("qcow2", name, ...options);
    keep(name, "qcow2", "qcow2");
  }

  convert("qcow2", "qcow2-snapshot", "-c");
  tool("qemu-img", "snapshot", "-c", "clean", "qcow2-snapshot");
  tool("qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 3M 64k", "-c", "write -z 6M 128k", "qcow2-snapshot");
  keep("qcow2-snapshot", "qcow2", "qcow2", { snapshot: { name: "clean", sha256: hash(sample) } });

  tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "guest.img", "chain-middle");
  tool("qemu-io", "-f", "qcow2", "-c", "write -P 0x11 1M 64k", "chain-middle");
  tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "chain-middle", "chain-top");
  tool("qemu-io", "-f", "qcow2", "-c", "write -P 0x22 1088k 64k", "chain-top");
  // The base is a file of the host, whose holes the tool asks for: no map to compare.
  keep("chain-top", "qcow2", "qcow2", {
    files: ["chain-middle", "guest.img"],
    mapped: false,
  });

  convert("vpc", "vhd-dynamic", "-o", "force_size=on");
  keep("vhd-dynamic", "vhd", "vpc");
  convert("vpc", "vhd-fixed", "-o", "subformat=fixed,force_size=on");
  keep("vhd-fixed", "vhd", "vpc", { mapped: false });
  convert("vhdx", "vhdx", "-o", "block_size=1M");
  keep("vhdx", "vhdx", "vhdx", { mapped: false });
  convert("vdi", "vdi");
  keep("vdi", "vdi", "vdi");
  convert("vmdk", "vmdk-sparse");
  keep("vmdk-sparse", "vmdk", "vmdk");
  convert("vmdk", "vmdk-stream", "-o", "subformat=streamOptimized");
  keep("vmdk-stream", "vmdk", "vmdk");
  convert("vmdk", "vmdk-split.vmdk", "-o", "subformat=twoGbMaxExtentSparse");
  keep("vmdk-split.vmdk", "vmdk", "vmdk", { files: ["vmdk-split-s001.vmdk"] });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
