/**
 * Builds sample/guest.img: a small guest disk for `npm start` and the tests of the command line. An MBR, a separate
 * /boot (ext2), a root (ext4) and, in an extended partition, an older system (ext3) that still has a menu.lst.
 * Needs mke2fs (e2fsprogs) and sfdisk (fdisk).
 */
import {
  closeSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../lib/kernel-view.mjs";

const TIME = 1_700_000_000;
const SECTOR = 512;
const target = fileURLToPath(new URL("../../sample/guest.img", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-sample-"));

/** An ELF that does nothing: a header, one segment and the notes that a PV loader asks for. Ours, byte by byte. */
function minimalXenElf() {
  const note = (type, desc) => {
    const head = Buffer.alloc(12);
    head.writeUInt32LE(4, 0);
    head.writeUInt32LE(desc.length, 4);
    head.writeUInt32LE(type, 8);
    return Buffer.concat([head, Buffer.from("Xen\0"), desc, Buffer.alloc((4 - (desc.length % 4)) % 4)]);
  };
  const address = Buffer.alloc(8);
  address.writeBigUInt64LE(0x100000n);
  const notes = Buffer.concat([
    note(6, Buffer.from("sample\0")), // GUEST_OS
    note(8, Buffer.from("generic\0")), // LOADER
    note(5, Buffer.from("xen-3.0\0")), // XEN_VERSION
    note(1, address), // ENTRY
  ]);
  const code = Buffer.from([0xf4, 0xeb, 0xfd]); // hlt; jmp to it
  const elf = Buffer.alloc(64 + 2 * 56);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(elf);
  elf.writeUInt16LE(2, 16); // ET_EXEC
  elf.writeUInt16LE(62, 18); // EM_X86_64
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(0x100000n, 24); // e_entry
  elf.writeBigUInt64LE(64n, 32); // e_phoff
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(2, 56);
  const segment = (at, type, offset, size, vaddr) => {
    elf.writeUInt32LE(type, at);
    elf.writeUInt32LE(5, at + 4);
    for (const [field, value] of [
      [8, offset],
      [16, vaddr],
      [24, vaddr],
      [32, size],
      [40, size],
      [48, 4],
    ]) {
      elf.writeBigUInt64LE(BigInt(value), at + field);
    }
  };
  segment(64, 1, elf.length, code.length, 0x100000);
  segment(120, 4, elf.length + code.length + 1, notes.length, 0);
  return Buffer.concat([elf, code, Buffer.alloc(1), notes]);
}

const grubCfg = (root) => `set timeout=5
menuentry 'Sample Linux' {
  linux /boot/vmlinuz-sample root=${root} ro console=hvc0
  initrd /boot/initrd-sample.img
}
`;
const menuLst = `default 0
timeout 5

title Sample Linux (old)
root (hd0,4)
kernel /boot/vmlinuz-old root=/dev/xvda5 ro console=hvc0
initrd /boot/initrd-old.img
`;

const ELF = minimalXenElf();
const VOLUMES = [
  {
    start: 2048,
    sectors: 2048,
    args: ["-t", "ext2", "-b", "1024", "-L", "boot", "-U", "11111111-2222-4333-8444-555555555501"],
    files: { "grub/grub.cfg": grubCfg("/dev/xvda2"), "grub/menu.lst": menuLst, "xen/pvboot-x86_64.elf": ELF },
  },
  {
    start: 4096,
    sectors: 8192,
    args: [
      "-t",
      "ext4",
      "-b",
      "4096",
      "-O",
      "^has_journal",
      "-L",
      "root",
      "-U",
      "11111111-2222-4333-8444-555555555502",
    ],
    files: {
      "boot/grub/grub.cfg": grubCfg("/dev/xvda2"),
      "boot/xen/pvboot-x86_64.elf": ELF,
      "boot/vmlinuz-sample": "not a real kernel\n",
      "boot/initrd-sample.img": "not a real ramdisk\n",
      "etc/fstab": "/dev/xvda2 / ext4 defaults 0 1\n/dev/xvda1 /boot ext2 defaults 0 2\n",
      "etc/hostname": "sample\n",
      "etc/os-release": 'PRETTY_NAME="Sample Linux 1"\n',
    },
    links: { "boot/vmlinuz": "vmlinuz-sample", "etc/mtab": "/proc/mounts" },
  },
  {
    start: 14336,
    sectors: 8192,
    args: ["-t", "ext3", "-b", "1024", "-J", "size=1", "-L", "old", "-U", "11111111-2222-4333-8444-555555555503"],
    files: { "boot/grub/menu.lst": menuLst, "boot/vmlinuz-old": "not a real kernel\n" },
  },
];

try {
  const disk = join(scratch, "disk.img");
  writeFileSync(disk, "");
  truncateSync(disk, 22528 * SECTOR);
  run("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", disk], {
    input: `label: dos
label-id: 0x5a3b1c00
start=2048, size=2048, type=83, bootable
start=4096, size=8192, type=83
start=12288, size=10240, type=5
start=14336, size=8192, type=83
`,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const file = openSync(disk, "r+");
  for (const [index, volume] of VOLUMES.entries()) {
    const tree = join(scratch, `tree${index}`);
    mkdirSync(tree);
    for (const [name, content] of Object.entries(volume.files)) {
      mkdirSync(dirname(join(tree, name)), { recursive: true });
      writeFileSync(join(tree, name), content, { mode: 0o644 });
    }
    for (const [name, to] of Object.entries(volume.links ?? {})) symlinkSync(to, join(tree, name));
    for (const name of readdirSync(tree, { recursive: true })) lutimesSync(join(tree, name), TIME, TIME);
    utimesSync(tree, TIME, TIME);
    const image = join(scratch, `volume${index}.img`);
    writeFileSync(image, "");
    truncateSync(image, volume.sectors * SECTOR);
    run(
      "mke2fs",
      [
        "-q",
        "-F",
        "-E",
        `root_owner=0:0,hash_seed=${"0".repeat(8)}-0000-4000-8000-000000000000`,
        "-m",
        "0",
        "-N",
        "64",
        "-d",
        tree,
        ...volume.args,
        image,
      ],
      {
        env: { ...process.env, E2FSPROGS_FAKE_TIME: String(TIME) },
      },
    );
    writeSync(file, readFileSync(image), 0, undefined, volume.start * SECTOR);
  }
  closeSync(file);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(disk, target);
} finally {
  rmSync(scratch, { recursive: true });
}
