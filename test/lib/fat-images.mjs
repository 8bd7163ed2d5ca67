/** FAT volumes made by mkfs.fat and filled by mtools, for the differential suite and the tests of damage. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Names in UTF-8, times as they are stored, no word on geometries that no floppy has. */
const ENVIRONMENT = { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC", MTOOLS_SKIP_CHECK: "1" };

const run = (command, ...args) => execFileSync(command, args, { env: ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"] });

/**
 * A fresh volume.
 *
 * @param {string} image
 * @param {object} options
 * @param {number} options.bits 12, 16 or 32
 * @param {string} options.size as truncate takes it
 * @param {number} [options.perCluster] sectors
 * @param {number} [options.sector] bytes
 * @param {string} [options.label]
 * @param {readonly string[]} [options.options] for mkfs.fat
 */
export function makeFat(image, { bits, size, perCluster, sector = 512, label, options = [] }) {
  run("truncate", "-s", "0", image);
  run("truncate", "-s", size, image);
  const clusters = perCluster === undefined ? [] : ["-s", `${perCluster}`];
  const name = label === undefined ? [] : ["-n", label];
  run("mkfs.fat", "-F", `${bits}`, "-S", `${sector}`, "-i", "1234abcd", ...clusters, ...name, ...options, image);
}

/** Copies `path` of the host, with all below it, to `target` on the volume: "::/boot". */
export const copyIn = (image, target, ...paths) => run("mcopy", "-s", "-Q", "-m", "-i", image, ...paths, target);
export const makeFolder = (image, ...paths) => run("mmd", "-i", image, ...paths);
export const remove = (image, ...paths) => run("mdel", "-i", image, ...paths);
export const setAttributes = (image, ...args) => run("mattrib", "-i", image, ...args);

/** A file of the volume with this content. */
export function writeFat(image, target, content) {
  const folder = mkdtempSync(join(tmpdir(), "guestprobe-mtools-"));
  try {
    writeFileSync(join(folder, "file"), content);
    run("mcopy", "-i", image, join(folder, "file"), target);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const readImage = (image) => new Uint8Array(readFileSync(image));
