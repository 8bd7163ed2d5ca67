// The guests of the real boots. What each boot must show is not written here: `boot --json` says it beforehand.
import { grubCfg, menuLst, uuid } from "./guests.mjs";

const OS = "ID=debian\nVERSION_ID=12\n";
const etc = { "etc/os-release": OS, "etc/fstab": `UUID=${uuid(1)} / ext4 defaults 0 1\n` };

/** The usual tree: everything on one file system. */
const tree =
  (kernel, files = {}) =>
  ({ kernels, initrd }) => ({
    ...etc,
    "boot/vmlinuz": kernels[kernel],
    "boot/initrd.img": initrd,
    "boot/grub/grub.cfg": grubCfg({}),
    ...(typeof files === "function" ? files({ kernels, initrd }) : files),
  });
const one = (table, fs, make) => (parts) => [{ table, parts: [{ fs, files: make(parts) }] }];
const withPvboot = (kernel, content) => (parts) => ({
  ...tree(kernel)(parts),
  "boot/xen/pvboot-x86_64.elf": content ?? parts.pvboot("x86_64", "/boot/grub"),
});
const menuOnly = (kernel) => (parts) => {
  const { "boot/grub/grub.cfg": _, ...files } = tree(kernel)(parts);
  return { ...files, "boot/grub/menu.lst": menuLst };
};
const separateBoot =
  (table, bootFs, rootFs, kernel, more = () => ({})) =>
  (parts) => [
    {
      table,
      parts: [
        {
          fs: bootFs,
          number: 2,
          files: {
            vmlinuz: parts.kernels[kernel],
            "initrd.img": parts.initrd,
            "grub/grub.cfg": grubCfg({ boot: "" }),
            ...more(parts),
          },
        },
        { fs: rootFs, number: 1, files: etc },
      ],
    },
  ];

/** Everything on a logical volume, with another one beside it. */
const onLvm = (table, fs, group, make) => (parts) => [
  {
    table,
    parts: [
      {
        lvm: {
          group,
          volumes: [
            { name: "root", fs, files: make(parts) },
            { name: "home-2", fs: "ext4", number: 4, files: { "x/y": "z" } },
          ],
        },
      },
    ],
  },
];
const lvmNode = (group) => `/dev/mapper/${group.replaceAll("-", "--")}-root`;

export const CASES = [
  { name: "pv-mbr-ext4-xz", mode: "pv", disks: one("dos", "ext4", tree("xz")) },
  { name: "pv-mbr-ext4-gzip", mode: "pv", disks: one("dos", "ext4", tree("gzip")) },
  { name: "pv-mbr-ext4-lz4", mode: "pv", disks: one("dos", "ext4", tree("lz4")) },
  { name: "pv-mbr-ext4-zstd", mode: "pv", disks: one("dos", "ext4", tree("zstd")) },
  { name: "pv-gpt-ext4-pvboot", mode: "pv", disks: one("gpt", "ext4", withPvboot("gzip")) },
  { name: "pv-gpt-ext4-pvboot-empty", mode: "pv", disks: one("gpt", "ext4", withPvboot("gzip", "")) },
  {
    name: "pv-mbr-ext4-pvboot-text",
    mode: "pv",
    disks: one("dos", "ext4", withPvboot("gzip", "no ELF file\n".repeat(99))),
  },
  { name: "pv-mbr-ext4-pvboot-lz4", mode: "pv", disks: one("dos", "ext4", withPvboot("lz4")) },
  {
    name: "pv-mbr-ext4-pvboot-i386",
    mode: "pv",
    disks: one("dos", "ext4", (parts) => ({
      ...tree("gzip")(parts),
      "boot/xen/pvboot-i386.elf": parts.pvboot("i386", "/boot/grub"),
    })),
  },
  {
    name: "pv-mbr-ext4-pvboot-other-width",
    mode: "pv",
    disks: one("dos", "ext4", (parts) => withPvboot("gzip", parts.pvboot("i386", "/boot/grub"))(parts)),
  },
  { name: "pv-none-ext4-gzip", mode: "pv", disks: one(undefined, "ext4", tree("gzip")) },
  {
    name: "pv-none-ext4-xvda1",
    mode: "pv",
    disks: (parts) => [{ vdev: "xvda1", parts: [{ fs: "ext4", files: tree("gzip")(parts) }] }],
  },
  {
    name: "pv-gpt-boot-ext4-pvboot",
    mode: "pv",
    disks: separateBoot("gpt", "ext4", "ext4", "gzip", (parts) => ({
      "xen/pvboot-x86_64.elf": parts.pvboot("x86_64", "/grub"),
    })),
  },
  { name: "pv-mbr-boot-xfs", mode: "pv", disks: separateBoot("dos", "xfs", "ext4", "gzip") },
  { name: "pv-mbr-xfs", mode: "pv", disks: one("dos", "xfs", tree("gzip")) },
  { name: "pv-gpt-boot-ext4-root-xfs", mode: "pv", disks: separateBoot("gpt", "ext4", "xfs", "gzip") },
  { name: "pv-mbr-ext4-menu-lst", mode: "pv", disks: one("dos", "ext4", menuOnly("gzip")) },
  {
    name: "pv-two-partitions",
    mode: "pv",
    disks: (parts) => [
      {
        table: "dos",
        parts: [
          { fs: "ext4", files: tree("gzip", { "boot/grub/grub.cfg": grubCfg({ mark: " from=first" }) })(parts) },
          {
            fs: "ext4",
            number: 3,
            files: tree("gzip", { "boot/grub/grub.cfg": grubCfg({ mark: " from=second" }) })(parts),
          },
        ],
      },
    ],
  },
  {
    name: "pv-two-disks",
    mode: "pv",
    disks: (parts) => [
      {
        parts: [{ fs: "ext4", files: tree("gzip", { "boot/grub/grub.cfg": grubCfg({ mark: " from=first" }) })(parts) }],
      },
      {
        parts: [
          {
            fs: "ext4",
            number: 3,
            files: tree("gzip", { "boot/grub/grub.cfg": grubCfg({ mark: " from=second" }) })(parts),
          },
        ],
      },
    ],
  },
  {
    name: "pv-fallback",
    mode: "pv",
    disks: one("dos", "ext4", (parts) => ({
      ...tree("lz4")(parts),
      "boot/vmlinuz.old": parts.kernels.gzip,
      "boot/grub/grub.cfg": grubCfg({ extra: "set fallback=1\n", kernels: ["vmlinuz", "vmlinuz.old"] }),
    })),
  },
  {
    name: "pv-missing-kernel",
    mode: "pv",
    disks: one("dos", "ext4", (parts) => ({
      ...tree("gzip")(parts),
      "boot/grub/grub.cfg": grubCfg({ kernels: ["gone"] }),
    })),
  },
  {
    name: "pv-mbr-lvm-ext4-pvboot",
    mode: "pv",
    disks: onLvm("dos", "ext4", "vg0", (parts) =>
      withPvboot("gzip", parts.pvboot("x86_64", "/boot/grub", ["lvm", "diskfilter"]))(parts),
    ),
  },
  {
    name: "pv-gpt-lvm-xfs",
    mode: "pv",
    disks: onLvm("gpt", "xfs", "guest-vg", (parts) => ({
      ...tree("xz")(parts),
      "boot/grub/grub.cfg": grubCfg({ root: lvmNode("guest-vg") }),
    })),
  },
  {
    name: "pv-none-lvm-ext4",
    mode: "pv",
    disks: onLvm(undefined, "ext4", "vg0", tree("gzip")),
  },
  {
    name: "pv-boot-ext4-root-lvm",
    mode: "pv",
    disks: (parts) => {
      const [boot] = separateBoot("dos", "ext4", "ext4", "gzip")(parts);
      const [root] = onLvm("dos", "xfs", "vg0", () => etc)(parts);
      const config = grubCfg({ boot: "", root: "/dev/vg0/root" });
      const first = { ...boot.parts[0], files: { ...boot.parts[0].files, "grub/grub.cfg": config } };
      return [{ table: "dos", parts: [first, root.parts[0]] }];
    },
  },
  { name: "pvh-mbr-ext4-lz4", mode: "pvh", disks: one("dos", "ext4", tree("original")) },
  { name: "pvh-gpt-ext4-pvboot", mode: "pvh", disks: one("gpt", "ext4", withPvboot("original")) },
  { name: "pvh-none-xfs", mode: "pvh", disks: one(undefined, "xfs", tree("original")) },
  { name: "pvh-mbr-lvm-ext4", mode: "pvh", disks: onLvm("dos", "ext4", "vg0", tree("original")) },
  { name: "pvh-mbr-ext4-menu-lst", mode: "pvh", disks: one("dos", "ext4", menuOnly("original")) },
  { name: "pygrub-mbr-ext4-lz4", mode: "pygrub", disks: one("dos", "ext4", tree("lz4")) },
  { name: "pygrub-gpt-ext4-zstd", mode: "pygrub", disks: one("gpt", "ext4", tree("zstd")) },
  { name: "pygrub-none-menu-lst", mode: "pygrub", disks: one(undefined, "ext4", menuOnly("gzip")) },
  { name: "pygrub-mbr-xfs", mode: "pygrub", disks: one("dos", "xfs", tree("gzip")) },
  { name: "pygrub-gpt-boot", mode: "pygrub", disks: separateBoot("gpt", "ext4", "ext4", "gzip") },
];
