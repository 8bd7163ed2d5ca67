import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One device image, and what made it. */
export interface SignatureSample {
  readonly name: string;
  /** Bytes of the file before the tool runs; 0 where the tool makes it. */
  readonly size: number;
  /**
   * Command lines. `@` stands for the image, `@tree` for a folder with files, `@other` for a second image of the same size,
   * `@ten` for one of 64 MiB.
   */
  readonly make: readonly (readonly string[])[];
  readonly input?: string;
  /** Where the formats of others have no tool here: changes the bytes, or gives others. */
  readonly edit?: (image: Buffer) => unknown;
  /** Which of the files is the sample. */
  readonly take?: "other" | "ten";
}

const KIB = 1 << 10;
const MIB = 1 << 20;
const UUID = "01234567-89ab-cdef-0123-456789abcdef";

const tool = (name: string, size: number, ...command: string[]): SignatureSample => ({ name, size, make: [command] });
/** Superblocks that are written here field by field, from the specification that the table names. */
const written = (name: string, size: number, edit: (image: Buffer) => void): SignatureSample => ({
  name,
  size,
  make: [],
  edit,
});

const luks = (name: string, size: number, ...options: string[]): SignatureSample => ({
  name,
  size,
  input: "password",
  make: [
    ["cryptsetup", "luksFormat", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", ...options, "@", "-"],
  ],
});

/** The text at the end of the first page of a swap area. */
const suspended = (text: string) => (image: Buffer) => {
  image.write(text.padEnd(10, "\0"), 4086, "latin1");
};

function mdSuperblock(image: Buffer, at: number): void {
  image.writeUInt32LE(0xa92b4efc, at);
  image.writeUInt32LE(1, at + 4);
  image.write("0123456789abcdef0123456789abcdef", at + 0x10, "hex");
  image.write("host:boot", at + 0x20, "latin1");
  image.writeBigUInt64LE(BigInt(at / 512), at + 0x90);
}

function md090(image: Buffer, order: "LE" | "BE"): void {
  const at = Math.floor(image.length / 65536) * 65536 - 65536;
  const words = [0xa92b4efc, 0, 90, 3, 0, 0x89abcdef, 0, 1, at / 1024, 2, 2, 0, 0, 0x11223344, 0x55667788, 0x99aabbcc];
  for (const [index, word] of words.entries()) {
    if (order === "LE") image.writeUInt32LE(word, at + index * 4);
    else image.writeUInt32BE(word, at + index * 4);
  }
}

/** A pair of an XDR list: sizes, name, type, one element, value. */
function nvpair(name: string, type: number, value: Buffer): Buffer {
  const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const body = Buffer.concat([word(name.length), padded(Buffer.from(name)), word(type), word(1), padded(value)]);
  return Buffer.concat([word(body.length + 8), word(body.length + 8), body]);
}

function zfsLabel(image: Buffer): void {
  const u64 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    return bytes;
  };
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, value.length]), Buffer.from(value)]);
  const list = Buffer.concat([
    Buffer.from([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    nvpair("version", 8, u64(5000n)),
    nvpair("name", 9, text("tank pool")),
    nvpair("state", 8, u64(0n)),
    nvpair("pool_guid", 8, u64(12345678901234567890n)),
    Buffer.alloc(8),
  ]);
  for (const at of [0, 256 * KIB]) {
    list.copy(image, at + 16 * KIB);
    for (let slot = 4; slot < 8; slot += 1) {
      image.writeBigUInt64LE(0x00bab10cn, at + 128 * KIB + slot * KIB);
      image.writeBigUInt64LE(5000n, at + 128 * KIB + slot * KIB + 8);
    }
  }
}

/** CRC-32C, as Stratis uses it. */
function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

function stratis(image: Buffer): void {
  for (const at of [512, 9 * 512]) {
    image.write("!Stra0tis\x86\xff\x02^\x41rh", at + 4, "latin1");
    image.writeBigUInt64LE(BigInt(image.length / 512), at + 20);
    image.write("aaaabbbbccccddddeeeeffff00001111", at + 0x20, "latin1");
    image.write("0123456789abcdef0123456789abcdef", at + 0x40, "latin1");
    image.writeUInt32LE(crc32c(image.subarray(at + 4, at + 512)), at);
  }
}

/** An image of one UBI volume around a UBIFS. */
const UBINIZE =
  'mkfs.ubifs -r "$1" -m 2048 -e 126976 -c 100 -o "$0.fs"; ' +
  'printf "[u]\\nmode=ubi\\nimage=%s\\nvol_id=0\\nvol_type=dynamic\\nvol_name=u\\nvol_size=10MiB\\n" "$0.fs" >"$0.ini"; ' +
  'ubinize -o "$0" -m 2048 -p 131072 "$0.ini"';

/** xorriso puts the HFS+ volume beside the ISO 9660 one; the volume alone is the sample. */
function keepHfsPlus(image: Buffer): Buffer {
  for (let at = 0; at + 1024 < image.length; at += 512) {
    if (image.toString("latin1", at + 1024, at + 1028) !== "H+\0\x04") continue;
    const volume = image.subarray(at);
    volume.write("fedcba9876543210", 0x468, "hex");
    return volume;
  }
  throw new Error("xorriso wrote no HFS+ volume");
}

/** Puts a text into the field that the first UDF primary volume descriptor has for the name of the volume set. */
function renameVolumeSet(text: string): (image: Buffer) => undefined {
  return (image) => {
    for (let block = 0; block * 2048 < image.length; block += 1) {
      const at = block * 2048;
      if (image.readUInt16LE(at) !== 1 || image.readUInt32LE(at + 12) !== block) continue;
      image.write(`\x08${text}`, at + 0x48, "latin1");
      image.writeUInt8(text.length + 1, at + 0x48 + 127);
    }
  };
}

/** A BeFS of either byte order, with its volume id as the second attribute of the root directory. */
function befs(image: Buffer, order: "LE" | "BE", superAt: number): void {
  const put = (value: number, at: number): unknown =>
    order === "LE" ? image.writeUInt32LE(value, at) : image.writeUInt32BE(value, at);
  const put16 = (value: number, at: number): unknown =>
    order === "LE" ? image.writeUInt16LE(value, at) : image.writeUInt16BE(value, at);
  image.write("Be Inc. disk", superAt, "latin1");
  const [blockSize, group, start] = [2048, 1, 5];
  for (const [value, at] of [
    [0x42465331, 0x20],
    [0x42494745, 0x24],
    [blockSize, 0x28],
    [11, 0x2c],
    [0xdd121031, 0x44],
    [6, 0x4c],
    [0x15b6830e, 0x70],
    [group, 0x74],
  ] as const) {
    put(value, superAt + at);
  }
  put16(start, superAt + 0x78);
  put16(1, superAt + 0x7a);
  const inode = (group * 2 ** 6 + start) * blockSize;
  put(0x3bbe0ad9, inode);
  put(blockSize, inode + 0x40);
  let at = inode + 232;
  for (const [type, name, data] of [
    [0x43535452, "be:other", Buffer.from("text\0")],
    [0x554c4c47, "be:volume_id", Buffer.from("0123456789abcdef", "hex")],
  ] as const) {
    put(type, at);
    put16(name.length, at + 4);
    put16(data.length, at + 6);
    image.write(name, at + 8, "latin1");
    data.copy(image, at + 8 + name.length + 3);
    at += 8 + name.length + 3 + data.length + 1;
  }
}

/** Sectors from the end. */
const fromEnd = (image: Buffer, sectors: number): number => image.length - sectors * 512;

export const SIGNATURE_SAMPLES: readonly SignatureSample[] = [
  // Linux, and what its installers write.
  tool("swap", MIB, "mkswap", "-L", "swap label", "-U", UUID, "@"),
  tool("swap-no-label", MIB, "mkswap", "@"),
  tool("swap-64k-pages", 2 * MIB, "mkswap", "-p", "65536", "-L", "large", "@"),
  ...["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"].map((text) => ({
    ...tool(`swap-${text}`, MIB, "mkswap", "-L", "asleep", "@"),
    edit: suspended(text),
  })),
  { ...tool("swap-version-0", MIB, "mkswap", "@"), edit: suspended("SWAP-SPACE") },
  {
    ...tool("swap-tuxonice", MIB, "mkswap", "-L", "on ice", "@"),
    edit: (image) => void image.write("\xed\xc3\x02\xe9\x98\x56\xe5\x0c", 0, "latin1"),
  },
  tool("ext2", 2 * MIB, "mke2fs", "-q", "-F", "-t", "ext2", "-L", "two", "@"),
  tool("ext3", 8 * MIB, "mke2fs", "-q", "-F", "-t", "ext3", "-L", "three", "@"),
  tool("ext4", 8 * MIB, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "four ü", "@"),
  tool("ext4-no-journal", 4 * MIB, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "@"),
  tool("ext-journal", 4 * MIB, "mke2fs", "-q", "-F", "-O", "journal_dev", "-L", "external", "@"),
  tool("xfs", 320 * MIB, "mkfs.xfs", "-q", "-L", "xfs label", "@"),
  {
    ...tool("xfs-external-log", 320 * MIB, "mkfs.xfs", "-q", "-l", "logdev=@ten", "@"),
    take: "ten",
  },
  tool("btrfs", 128 * MIB, "mkfs.btrfs", "-q", "-L", "butter", "@"),
  tool("reiserfs-3.6", 40 * MIB, "mkfs.reiserfs", "-q", "-ff", "-l", "reiser", "-u", UUID, "@"),
  tool("reiserfs-3.5", 40 * MIB, "mkfs.reiserfs", "-q", "-ff", "--format", "3.5", "@"),
  {
    ...tool("reiserfs-jr", 40 * MIB, "mkfs.reiserfs", "-q", "-ff", "-j", "@other", "-l", "jr", "-u", UUID, "@"),
  },
  tool("reiser4", 40 * MIB, "mkfs.reiser4", "-f", "-y", "-L", "r4", "@"),
  tool("jfs", 16 * MIB, "mkfs.jfs", "-q", "-L", "jlabel", "@"),
  tool("f2fs", 64 * MIB, "mkfs.f2fs", "-q", "-f", "-l", "flash ü漢", "@"),
  tool("erofs", 0, "mkfs.erofs", "-U", UUID, "@", "@tree"),
  tool("nilfs2", 160 * MIB, "mkfs.nilfs2", "-q", "-L", "nil", "@"),
  {
    ...tool("nilfs2-backup", 160 * MIB, "mkfs.nilfs2", "-q", "-L", "nil", "@"),
    edit: (image) => void image.fill(0, 1024, 2048),
  },
  tool("gfs2", 64 * MIB, "mkfs.gfs2", "-q", "-O", "-p", "lock_dlm", "-t", "cluster:table", "@"),
  written("gfs", 64 * MIB, (image) => {
    image.write("01161970", 0x1_0000, "hex");
    image.writeUInt32BE(1309, 0x1_0018);
    image.writeUInt32BE(1401, 0x1_001c);
    image.write("cluster:old", 0x1_00a0, "latin1");
    image.write("0123456789abcdef0123456789abcdef", 0x1_0100, "hex");
  }),
  tool("ocfs2", 64 * MIB, "mkfs.ocfs2", "-q", "-F", "-M", "local", "-L", "olabel", "@"),
  tool("ocfs2-1k", 64 * MIB, "mkfs.ocfs2", "-q", "-F", "-M", "local", "-b", "1024", "-L", "small", "@"),
  ...["1", "2", "3"].map((version) => tool(`minix${version}`, 4 * MIB, "mkfs.minix", `-${version}`, "@")),
  tool("cramfs", 0, "mkfs.cramfs", "-n", "crammed", "@tree", "@"),
  tool("cramfs-big-endian", 0, "mkfs.cramfs", "-N", "big", "-n", "crammed", "@tree", "@"),
  tool("romfs", 0, "genromfs", "-f", "@", "-d", "@tree", "-V", "romlabel"),
  tool("squashfs", 0, "mksquashfs", "@tree", "@", "-quiet", "-no-progress"),
  {
    ...tool("squashfs-3", 0, "mksquashfs", "@tree", "@", "-quiet", "-no-progress"),
    edit: (image) => void image.writeUInt16LE(3, 0x1c),
  },
  tool("ubifs", 0, "mkfs.ubifs", "-r", "@tree", "-m", "2048", "-e", "126976", "-c", "100", "-o", "@"),
  tool("bfs", 4 * MIB, "mkfs.bfs", "@"),
  // Members and encrypted volumes.
  luks("luks1", 4 * MIB, "--type", "luks1", "--uuid", UUID),
  luks("luks2", 20 * MIB, "--type", "luks2", "--label", "secret label", "--subsystem", "sub"),
  luks("luks2-no-label", 20 * MIB, "--type", "luks2"),
  { name: "verity", size: MIB, make: [["veritysetup", "format", "@other", "@"]] },
  tool("bcache-backing", 4 * MIB, "make-bcache", "-B", "@"),
  tool("bcache-cache", 64 * MIB, "make-bcache", "-C", "@"),
  { ...tool("drbd-8", 8 * MIB, "drbdmeta", "--force", "0", "v08", "@", "internal", "create-md"), input: "yes\nyes\n" },
  {
    ...tool("drbd-9", 8 * MIB, "drbdmeta", "--force", "0", "v09", "@", "internal", "create-md", "1"),
    input: "yes\nyes\n",
    edit: (image) => void image.writeBigUInt64BE(0xfedcba9876543210n, image.length - 4096 + 0x30),
  },
  {
    name: "lvm2",
    size: 40 * MIB,
    make: [
      [
        "sh",
        "-c",
        'set -e; loop=$(losetup -f --show "$0"); pvcreate -q "$loop" || r=$?; losetup -d "$loop"; exit ${r:-0}',
        "@",
      ],
    ],
  },
  written("md-0.90", 4 * MIB + 12 * KIB, (image) => md090(image, "LE")),
  written("md-0.90-big-endian", 4 * MIB, (image) => md090(image, "BE")),
  written("md-1.0", 4 * MIB + 512, (image) => mdSuperblock(image, Math.floor(image.length / 4096) * 4096 - 8192)),
  written("md-1.1", 4 * MIB, (image) => mdSuperblock(image, 0)),
  written("md-1.2", 4 * MIB, (image) => mdSuperblock(image, 4096)),
  ...[1, 257].map((sectors) =>
    written(`ddf-${sectors}`, 4 * MIB, (image) => {
      const at = fromEnd(image, sectors);
      image.write("de11de11", at, "hex");
      image.write("LSI     \x10\x00\x00\x73ABCDEFGHIJKL".replaceAll(/[\0\x10]/g, "x"), at + 8, "latin1");
      image.write("01.02.00", at + 0x20, "latin1");
    }),
  ),
  written("intel-raid", 4 * MIB, (image) => {
    image.write("Intel Raid ISM Cfg Sig. 1.1.00", fromEnd(image, 2), "latin1");
  }),
  written("nvidia-raid", 4 * MIB, (image) => {
    image.write("NVIDIA  ", fromEnd(image, 2), "latin1");
    image.writeUInt16LE(100, fromEnd(image, 2) + 16);
  }),
  written("jmicron-raid", 4 * MIB, (image) => {
    image.write("JM\x01\x02", fromEnd(image, 1), "latin1");
    // Its words add up to zero.
    let sum = 0;
    const at = fromEnd(image, 1);
    for (let word = 0; word < 64; word += 1) sum = (sum + image.readUInt16LE(at + word * 2)) & 0xffff;
    image.writeUInt16LE((0x10000 - sum) & 0xffff, at + 4);
  }),
  written("adaptec-raid", 4 * MIB, (image) => {
    image.write("37fc4d1e", fromEnd(image, 1), "hex");
    image.writeUInt8(8, fromEnd(image, 1) + 0x3f);
    image.write("DPTM", fromEnd(image, 1) + 0x100, "latin1");
  }),
  written("lvm1", 4 * MIB, (image) => {
    image.write("HM\x02\0", 0, "latin1");
    image.write("abcdefghijklmnopqrstuvwxyzABCDEF", 0x2c, "latin1");
  }),
  written("bcachefs", 4 * MIB, (image) => {
    image.writeUInt16LE(1024, 0x1010);
    image.write("c68573f666ce90a9d96a60cf803df7ef", 0x1018, "hex");
    image.write("0123456789abcdef0123456789abcdef", 0x1038, "hex");
    image.write("copy on write", 0x1048, "latin1");
  }),
  written("stratis", 4 * MIB, stratis),
  written("vdo", 4 * MIB, (image) => {
    image.write("dmvdo001", 0, "latin1");
    image.write("0123456789abcdef0123456789abcdef", 0x28, "hex");
  }),
  written("zfs", 64 * MIB, zfsLabel),
  written("vmfs-member", 2 * MIB, (image) => {
    image.writeUInt32LE(0xc001d00d, MIB);
    image.writeUInt32LE(5, MIB + 4);
    image.write("4f3c1a2b-0123abcd-89ef-001122334455", MIB + 0x214, "latin1");
  }),
  written("snapshot-store", 2 * MIB, (image) => void image.write("SnAp\x01", 0, "latin1")),
  written("integrity", 2 * MIB, (image) => void image.write("integrt\0\x04", 0, "latin1")),
  { ...tool("ubi", 0, "sh", "-c", UBINIZE, "@", "@tree") },
  // Windows, Apple, optical disks, BSD and older ones.
  ...[12, 16, 32].map((bits) =>
    tool(
      `fat${bits}`,
      (bits === 12 ? 4 : 64) * MIB,
      "mkfs.vfat",
      "-F",
      String(bits),
      "-n",
      "FAT LABEL",
      "-i",
      "1234ABCD",
      "@",
    ),
  ),
  tool("fat16-no-label", 16 * MIB, "mkfs.vfat", "-F", "16", "@"),
  {
    ...tool("fat32-label-in-boot-sector", 64 * MIB, "mkfs.vfat", "-F", "32", "-n", "ROOTDIR", "@"),
    edit: (image) => void image.write("BOOTSECTOR ", 0x47, "latin1"),
  },
  tool("fat-4k-sectors", 64 * MIB, "mkfs.vfat", "-S", "4096", "-n", "LARGE", "@"),
  tool("exfat", 8 * MIB, "mkfs.exfat", "-L", "ex ü漢", "@"),
  tool("exfat-no-label", 8 * MIB, "mkfs.exfat", "@"),
  tool(
    "ntfs",
    16 * MIB,
    "mkfs.ntfs",
    "-F",
    "-q",
    "-p",
    "0",
    "-H",
    "16",
    "-S",
    "63",
    "-L",
    "Daten ü漢",
    "-s",
    "512",
    "@",
  ),
  tool(
    "ntfs-64k-clusters",
    64 * MIB,
    "mkfs.ntfs",
    "-F",
    "-q",
    "-p",
    "0",
    "-H",
    "16",
    "-S",
    "63",
    "-s",
    "512",
    "-c",
    "65536",
    "@",
  ),
  ...["-FVE-FS-", "MSWIN4.1"].map((text) =>
    written(`bitlocker${text.startsWith("-") ? "" : "-to-go"}`, 4 * MIB, (image) => {
      image.write(`\xeb\x58\x90${text}`, 0, "latin1");
      image.writeBigUInt64LE(0x20_0000n, text.startsWith("-") ? 0xb0 : 0x1b8);
      image.write("-FVE-FS-\x00\x10\x02\x00", 0x20_0000, "latin1");
    }),
  ),
  written("refs", 4 * MIB, (image) => void image.write("\0\0\0ReFS\0", 0, "latin1")),
  tool("apfs", 600 * MIB, "mkapfs", "-L", "apple", "@"),
  {
    ...tool("hfs", 4 * MIB, "hformat", "-l", "hfslabel", "@"),
    // What macOS would put there, and what the UUID is made of.
    edit: (image) => image.write("0123456789abcdef", 0x474, "hex"),
  },
  {
    ...tool("hfsplus", 0, "xorriso", "-as", "mkisofs", "-quiet", "-hfsplus", "-V", "hfsplusvol", "-o", "@", "@tree"),
    edit: keepHfsPlus,
  },
  tool("iso9660", 0, "genisoimage", "-quiet", "-R", "-V", "PLAIN", "-o", "@", "@tree"),
  tool(
    "iso9660-joliet",
    0,
    "genisoimage",
    "-quiet",
    "-J",
    "-R",
    "-V",
    "A Long Label of Twenty Six",
    "-o",
    "@",
    "@tree",
  ),
  tool("iso9660-joliet-short", 0, "genisoimage", "-quiet", "-J", "-V", "MiXed", "-o", "@", "@tree"),
  tool("iso9660-xorriso", 0, "xorriso", "-as", "mkisofs", "-quiet", "-J", "-V", "xorriso_label", "-o", "@", "@tree"),
  {
    ...tool("iso9660-joliet-differs", 0, "genisoimage", "-quiet", "-J", "-V", "SAME", "-o", "@", "@tree"),
    edit: (image) => {
      const at = image.indexOf("\x02CD001", 0x8800, "latin1") + 0x28;
      image.write("\0O\0t\0h\0e\0r\0 \xfc\xfc", at, "latin1");
    },
  },
  written("high-sierra", 4 * MIB, (image) => {
    image.write("\x01CDROM\x01", 0x8008, "latin1");
    image.write("HIGH SIERRA".padEnd(32), 0x8030, "latin1");
  }),
  tool("udf-bridge", 0, "genisoimage", "-quiet", "-udf", "-J", "-V", "bridge", "-o", "@", "@tree"),
  ...["512", "1024", "2048", "4096"].map((size) =>
    tool(`udf-${size}`, 12 * MIB, "mkudffs", "-b", size, "--label", size === "512" ? "UDF ü 漢" : "plain", "@"),
  ),
  tool("udf-1.50", 12 * MIB, "mkudffs", "-b", "2048", "-m", "cdr", "--udfrev", "1.50", "--label", "disc", "@"),
  // The UUID is made of the volume set's name: digits, then letters; and letters at once.
  ...["12AB34CDxyz-", "not digits at all"].map((text, index) => ({
    ...tool(`udf-volume-set-${index}`, 12 * MIB, "mkudffs", "-b", "2048", "--label", "odd", "@"),
    edit: renameVolumeSet(text),
  })),
  tool("ufs1", 0, "makefs", "-t", "ffs", "-o", "version=1", "-s", "4m", "@", "@tree"),
  {
    ...tool("ufs2", 0, "makefs", "-t", "ffs", "-o", "version=2", "-s", "4m", "@", "@tree"),
    edit: (image) => void image.write("volume name", 0x1_0000 + 0x2a8, "latin1"),
  },
  tool("ufs2-big-endian", 0, "makefs", "-t", "ffs", "-B", "be", "-o", "version=2", "-s", "4m", "@", "@tree"),
  written("vxfs", 2 * MIB, (image) => {
    image.writeUInt32LE(0xa501fcf5, 0x400);
    image.writeUInt32LE(7, 0x404);
  }),
  written("hpfs", 4 * MIB, (image) => {
    image.writeUInt32LE(0xf995e849, 0x2000);
    image.writeUInt8(2, 0x2008);
    image.writeUInt32LE(0xf9911849, 0x2200);
    image.writeUInt8(0x28, 0x26);
    image.writeUInt32LE(0x1234abcd, 0x27);
    image.write("OS2 LABEL  HPFS    ", 0x2b, "latin1");
    image.writeUInt16LE(0xaa55, 0x1fe);
  }),
  written("vmfs", 4 * MIB, (image) => {
    image.writeUInt32LE(0x2fabf15e, 2 * MIB);
    image.writeUInt8(5, 2 * MIB + 8);
    image.write("00112233445566778899aabbccddeeff", 2 * MIB + 9, "hex");
    image.write("datastore1", 2 * MIB + 0x1d, "latin1");
  }),
  ...(["LE", "BE"] as const).flatMap((order) =>
    [0, 512].map((at) => written(`befs-${order}-${at}`, 4 * MIB, (image) => befs(image, order, at))),
  ),
  written("zonefs", 4 * MIB, (image) => {
    image.write("SFOZ", 0, "latin1");
  }),
];

/** A sparse file. */
function blank(file: string, size: number): void {
  const descriptor = openSync(file, "w");
  ftruncateSync(descriptor, size);
  closeSync(descriptor);
}

/** Files for the formats that are made from a folder. */
function makeTree(folder: string): string {
  const tree = join(folder, "tree");
  mkdirSync(tree, { recursive: true });
  writeFileSync(join(tree, "file"), "text\n".repeat(1000));
  return tree;
}

/** Makes one sample under `folder`; the path of its image. */
export function makeSample(sample: SignatureSample, folder: string): string {
  const image = join(folder, sample.name);
  const [other, ten] = [`${image}.other`, `${image}.ten`];
  const words: Record<string, string> = { "@": image, "@tree": makeTree(folder), "@other": other, "@ten": ten };
  if (sample.size > 0) blank(image, sample.size);
  const line = sample.make.flat().join(" ");
  if (line.includes("@other")) blank(other, sample.size);
  if (line.includes("@ten")) blank(ten, 64 * MIB);
  for (const [command = "", ...options] of sample.make) {
    execFileSync(
      command,
      options.map((word) => words[word] ?? word.replace("=@ten", `=${ten}`)),
      {
        input: sample.input ?? "",
        stdio: ["pipe", "pipe", "pipe"],
      },
    );
  }
  if (sample.edit !== undefined) {
    const bytes = readFileSync(image);
    const edited = sample.edit(bytes);
    writeFileSync(image, edited instanceof Uint8Array ? edited : bytes);
  }
  return sample.take === undefined ? image : sample.take === "ten" ? ten : other;
}
