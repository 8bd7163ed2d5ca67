// Volume groups of one disk, made by LVM's own tools without device-mapper, which the machine may lack.
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from "node:fs";

const MIB = 1 << 20;
const EXTENT = 4 * MIB;

const run = (command, args) => execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"] }).toString();

/** What a group with volumes of these sizes takes: label and metadata come first, and no extent is cut. Bytes. */
export const groupBytes = (sizes) =>
  MIB + sizes.reduce((sum, size) => sum + Math.ceil(size / EXTENT) * EXTENT, 0) + 3 * MIB;

/**
 * Writes a group to `image`: the tools write the metadata, and what the volumes hold is put where that says they lie.
 *
 * @param volumes In the order in which they are created: name, and the file with the content.
 */
export function makeGroup(image, group, volumes, uuid = undefined) {
  writeFileSync(image, "");
  truncateSync(image, groupBytes(volumes.map(({ file }) => statSync(file).size)));
  const loop = run("losetup", ["-f", "--show", image]).trim();
  const config = `devices { filter=["a|^${loop}$|","r|.*|"] use_devicesfile=0 }`;
  const lvm = (...words) => run("lvm", [...words, "--driverloaded", "n", "--config", config]).trim();
  let places;
  try {
    const named = uuid === undefined ? [] : ["--uuid", uuid, "--norestorefile"];
    lvm("pvcreate", "-q", ...named, loop);
    lvm("vgcreate", "-q", "-s", `${EXTENT}b`, group, loop);
    for (const { name, file } of volumes) {
      lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "-L", `${statSync(file).size}b`, "-n", name, group);
    }
    const start = Number(lvm("pvs", "-o", "pe_start", "--noheadings", "--units", "b", "--nosuffix", loop));
    places = new Map(
      lvm("lvs", "-o", "lv_name,seg_pe_ranges", "--noheadings", "--separator", "|", group)
        .split("\n")
        .map((line) => line.trim().split("|"))
        .map(([name, range]) => [name, start + Number(/:([0-9]+)-/.exec(range)[1]) * EXTENT]),
    );
  } finally {
    run("losetup", ["-d", loop]);
  }
  const disk = openSync(image, "r+");
  for (const { name, file } of volumes) writeSync(disk, readFileSync(file), 0, undefined, places.get(name));
  closeSync(disk);
}
