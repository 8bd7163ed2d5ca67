import { gzipSync } from "node:zlib";
import { finding } from "@guestprobe/block";
import { BOOT_FINDINGS, bootVerdict, profileById, type Verdict, type VerdictOptions } from "@guestprobe/boot";
import { afterAll, describe, expect, test } from "vitest";
import { forDistribution } from "../src/distribution.js";
import {
  fakePayload,
  LINUX_NOTES,
  LZ4_MAGIC,
  makeBzImage,
  makeCpio,
  makeElf,
  makeGrubImage,
  PVH_NOTES,
  text,
} from "./build.js";
import { guestView, type VolumeSpec } from "./guest-view.js";

const UUID = "00000000-0000-4000-8000-000000000001";
const ROOT = "xen/xvda,msdos1";
const CFG = `set timeout=1
menuentry 'Linux' {
	linux /boot/vmlinuz root=UUID=${UUID} ro quiet
	initrd /boot/initrd.img
}
`;
const MENU = `default 0
timeout 1
title Old
root (hd0,0)
kernel /boot/vmlinuz root=UUID=${UUID} ro
initrd /boot/initrd.img
`;
const kernel = makeBzImage();
const initrd = gzipSync(makeCpio(["init"]));
const files = {
  "/boot/vmlinuz": kernel,
  "/boot/initrd.img": initrd,
  "/boot/grub/grub.cfg": CFG,
  "/etc/fstab": `UUID=${UUID} / ext4 defaults 0 1\n`,
  "/etc/os-release": "ID=debian\n",
};
const pvboot = makeGrubImage([
  [2, text("search.file /boot/grub/grub.cfg root\nset prefix=($root)/boot/grub\n")],
  [3, text("/boot/grub")],
]);

type Files = Readonly<Record<string, string | Uint8Array>>;
const withFiles = (more: Files, without: readonly string[] = []): VolumeSpec => ({
  uuid: UUID,
  files: Object.fromEntries(Object.entries({ ...files, ...more }).filter(([path]) => !without.includes(path))),
});
type Guest = Readonly<Record<string, VolumeSpec>>;
const guest = (more: Files = {}, without: readonly string[] = []): Guest => ({ [ROOT]: withFiles(more, without) });

const ask = (volumes: Guest, host = "debian-pv", options: Partial<VerdictOptions> = {}): Promise<Verdict> =>
  bootVerdict(guestView(volumes), { profile: profileById(host)!, ...options });
const codes = ({ findings }: Verdict): string[] => findings.map(({ code }) => code);

describe("what is booted", () => {
  test("grub.cfg: kernel, ramdisk, command line and root", async () => {
    const verdict = await ask(guest());
    expect(verdict).toMatchObject({
      answer: "yes",
      config: { device: ROOT, path: "/boot/grub/grub.cfg" },
      entry: { title: "Linux", path: [0], line: 3 },
      kernel: { device: ROOT, path: "/boot/vmlinuz", size: kernel.length },
      cmdline: `root=UUID=${UUID} ro quiet`,
      root: { spec: `UUID=${UUID}`, device: ROOT },
    });
    expect(verdict.attempts.map(({ kind, path, ok }) => [kind, path, ok])).toEqual([
      ["search", "/boot/xen/pvboot-x86_64.elf", false],
      ["search", "/xen/pvboot-x86_64.elf", false],
      ["search", "/boot/grub/grub.cfg", true],
      ["config", "/boot/grub/grub.cfg", true],
      ["load", "/boot/vmlinuz", true],
      ["load", "/boot/initrd.img", true],
    ]);
    expect(codes(verdict)).toEqual([]);
  });

  test("a loader of the guest's own is followed to its end", async () => {
    const verdict = await ask(guest({ "/boot/xen/pvboot-x86_64.elf": pvboot }));
    expect(verdict).toMatchObject({
      answer: "yes",
      chain: [{ device: ROOT, path: "/boot/xen/pvboot-x86_64.elf", prefix: "/boot/grub" }],
      kernel: { path: "/boot/vmlinuz" },
    });
  });

  test("loaders that load each other come to an end", async () => {
    const again = makeGrubImage([
      [2, text("search.file /boot/xen/pvboot-x86_64.elf root\nmultiboot /boot/xen/pvboot-x86_64.elf\nboot\n")],
      [3, text("/boot/grub")],
    ]);
    const verdict = await ask(guest({ "/boot/xen/pvboot-x86_64.elf": again }));
    expect(verdict.answer).toBe("no");
    expect(codes(verdict)).toContain("boot-config-problem");
  });

  test("PVH has no chainload and names the kernel on its command line", async () => {
    const verdict = await ask(guest({ "/boot/xen/pvboot-x86_64.elf": pvboot }), "debian-pvh");
    expect(verdict).toMatchObject({
      answer: "yes",
      chain: [],
      cmdline: `BOOT_IMAGE=/boot/vmlinuz root=UUID=${UUID} ro quiet`,
    });
  });

  test("menu.lst: by the host that reads it, by pv-grub and by pygrub", async () => {
    const old = guest({ "/boot/grub/menu.lst": MENU }, ["/boot/grub/grub.cfg"]);
    expect((await ask(old)).answer).toBe("no");
    expect((await ask(old, "pygrub")).cmdline).toBe(`root=UUID=${UUID} ro`);
    const flat: Guest = { "hd0,1": old[ROOT]! };
    expect(await ask(flat, "pv-grub")).toMatchObject({
      answer: "yes",
      entry: { title: "Old" },
      config: { device: "hd0,1" },
    });
    expect((await ask(flat, "pv-grub", { extra: "root=/dev/xvda1" })).answer).toBe("no");
  });

  test("an entry by its title", async () => {
    const two = `${CFG}menuentry 'Other' {\n\tlinux /boot/vmlinuz single root=UUID=${UUID}\n}\n`;
    expect((await ask(guest({ "/boot/grub/grub.cfg": two }), "debian-pv", { entry: "Other" })).cmdline).toBe(
      `single root=UUID=${UUID}`,
    );
  });

  test("pygrub reads the first volume that has a kernel, and no file system of another kind", async () => {
    expect(await ask(guest(), "pygrub")).toMatchObject({ answer: "yes", cmdline: `root=UUID=${UUID} ro quiet` });
    const xfs = { [ROOT]: { ...withFiles({}), fs: "xfs", features: ["V5"] } };
    const refused = await ask(xfs, "pygrub");
    expect(refused.answer).toBe("no");
    expect(refused.attempts[0]?.reason).toContain("XFS version 5");
  });

  test("direct boot by what the kernel is capable of", async () => {
    const pvh = guest({ "/boot/vmlinuz": makeBzImage({ payload: gzipSync(makeElf({ notes: PVH_NOTES })) }) });
    expect((await ask(pvh, "direct-pv")).answer).toBe("no");
    expect((await ask(pvh, "direct-pvh")).answer).toBe("yes");
  });

  test("the next entry where the first one fails", async () => {
    const cfg = `set timeout=1\nset fallback=1\nmenuentry A {\n\tlinux /boot/gone\n}\nmenuentry B {\n\tlinux /boot/vmlinuz root=UUID=${UUID}\n}\n`;
    const verdict = await ask(guest({ "/boot/grub/grub.cfg": cfg }));
    expect(verdict).toMatchObject({ answer: "yes", entry: { title: "B" } });
    expect(verdict.findings).toMatchObject([{ code: "boot-kernel-missing", severity: "warning", line: 4 }]);
  });

  test("a volume that could not be read makes nothing-found unknown", async () => {
    const verdict = await ask({ [ROOT]: { unreadable: true } });
    expect(verdict.answer).toBe("unknown");
    expect(verdict.summary).toContain(`(${ROOT}) could not be read: a feature that is not read here`);
    expect(verdict.unread.map(({ device }) => device)).toEqual([ROOT]);
  });

  test.each(["/dev/mapper/vg-root", "UUID=0b2d4c5e-1111-4222-8333-0123456789ab", "LABEL=root"])(
    "a root of %s may lie behind the volume that could not be read",
    async (spec) => {
      const boot = { [ROOT]: withFiles({ "/boot/grub/grub.cfg": CFG.replace(`UUID=${UUID}`, spec) }, ["/etc/fstab"]) };
      const verdict = await ask({ ...boot, "xen/xvda,msdos2": { unreadable: true }, "lvm/other-home": {} });
      expect(verdict.answer).toBe("unknown");
      expect(verdict.summary).toContain(`whether its root ${spec} is there cannot be told`);
      expect((await ask({ ...boot, "lvm/other-home": {} })).answer).toBe("no");
    },
  );
});

/** For each finding: a guest that raises it, and one that does not. */
interface Case {
  readonly raises: Guest;
  readonly not?: Guest;
  readonly host?: string;
  readonly extra?: string;
}

const lz4 = makeBzImage({ payload: fakePayload(LZ4_MAGIC) });
const cfg = (body: string, head = "set timeout=1\n"): Files => ({
  "/boot/grub/grub.cfg": `${head}menuentry x {\n${body}\n}\n`,
});
const linux = (options: string): Files => cfg(`linux /boot/vmlinuz ${options}`);
const HERE = `root=UUID=${UUID}`;
const only = (path: string): Guest => guest({ [path]: CFG }, ["/boot/grub/grub.cfg"]);

const CASES: Readonly<Record<string, Case>> = {
  "boot-nothing-found": { raises: guest({}, ["/boot/grub/grub.cfg"]) },
  "boot-pvboot-empty": {
    raises: guest({ "/boot/xen/pvboot-x86_64.elf": "" }),
    not: guest({ "/boot/xen/pvboot-x86_64.elf": pvboot }),
  },
  "boot-pvboot-broken": {
    raises: guest({ "/xen/pvboot-x86_64.elf": "no ELF file" }),
    not: guest({ "/xen/pvboot-x86_64.elf": pvboot }),
  },
  "boot-pvboot-other-arch": { raises: guest({ "/boot/xen/pvboot-i386.elf": "x" }) },
  "boot-kernel-arch": {
    raises: guest(),
    not: guest({ "/boot/vmlinuz": makeElf({ bits: 32, notes: LINUX_NOTES }) }),
    host: "debian-pv-i386",
  },
  "boot-kernel-unpackable": { raises: guest({ "/boot/vmlinuz": lz4 }) },
  "boot-kernel-not-pv": { raises: guest({ "/boot/vmlinuz": makeElf({}) }) },
  "boot-kernel-not-pvh": {
    raises: guest({ "/boot/vmlinuz": makeElf({ notes: LINUX_NOTES.filter(({ type }) => type !== 18) }) }),
    host: "direct-pvh",
  },
  "boot-kernel-refused": { raises: guest({ "/boot/vmlinuz": "no kernel" }) },
  "boot-kernel-missing": { raises: guest({}, ["/boot/vmlinuz"]) },
  "boot-initrd-missing": { raises: guest({}, ["/boot/initrd.img"]) },
  "boot-initrd-strange": { raises: guest({ "/boot/initrd.img": "no archive" }) },
  "boot-command-missing": { raises: guest({ "/boot/grub/grub.cfg": `blscfg\n${CFG}` }) },
  "boot-file-hidden": {
    raises: { ...guest(), "xen/xvda,msdos2": { hidden: "inline_data", files: { "/boot/grub/grub.cfg": CFG } } },
    not: { ...guest(), "xen/xvda,msdos2": { hidden: "inline_data", files: {} } },
  },
  "boot-journal-dirty": {
    raises: { [ROOT]: { ...withFiles({}), dirty: true } },
    not: { ...guest(), "xen/xvda,msdos2": { dirty: true } },
  },
  "boot-duplicate-uuid": {
    raises: { ...guest(), "xen/xvdb": { uuid: UUID } },
    not: { ...guest(), "xen/xvdb": { uuid: "other" } },
  },
  "boot-duplicate-label": {
    raises: { "xen/xvdb": { label: "a" }, "xen/xvdc": { label: "a" } },
    not: { "xen/xvdb": { label: "" }, "xen/xvdc": { label: "" } },
  },
  "boot-several-answer": {
    raises: { ...guest(), "xen/xvdb": { files: { "/boot/grub/grub.cfg": CFG } } },
    not: { ...guest(), "xen/xvdb": { files: {} } },
  },
  "boot-root-by-name": { raises: guest(linux("root=/dev/xvda1")), not: guest(linux(HERE)) },
  "boot-root-missing": { raises: guest(linux("root=UUID=gone")), not: guest(linux(HERE)) },
  "boot-resume-missing": {
    raises: guest(linux(`${HERE} resume=UUID=gone`)),
    not: guest(linux(`${HERE} resume=UUID=${UUID}`)),
  },
  "boot-fstab-missing": {
    raises: guest({ "/etc/fstab": "UUID=gone /home ext4 defaults 0 2\n" }),
    not: guest({ "/etc/fstab": "UUID=gone /home ext4 nofail 0 2\n# UUID=gone\n" }),
  },
  "boot-saved-ignored": {
    raises: guest({ "/boot/grub/grubenv": "# GRUB Environment Block\nsaved_entry=x\n###" }),
    not: guest({ "/boot/grub/grubenv": "# GRUB Environment Block\n####" }),
  },
  "boot-password": {
    raises: guest({ "/boot/grub/grub.cfg": `set superusers=a\npassword a b\n${CFG}` }),
    not: guest({
      "/boot/grub/grub.cfg": `set superusers=a\npassword a b\n${CFG.replace("'Linux'", "'Linux' --unrestricted")}`,
    }),
  },
  "boot-grub2-directory": { raises: only("/boot/grub2/grub.cfg") },
  "boot-in-subvolume": {
    raises: { [ROOT]: { fs: "btrfs", files: { "/@/boot/grub/grub.cfg": CFG } } },
    not: { [ROOT]: { fs: "btrfs", files: {} } },
  },
  "boot-menu-waits": { raises: guest({ "/boot/grub/grub.cfg": CFG.replace("set timeout=1\n", "") }) },
  "boot-config-problem": { raises: guest({ "/boot/grub/grub.cfg": `true && true\n${CFG}` }) },
  "boot-not-known": {
    raises: guest({ "/boot/vmlinuz": makeBzImage({ payload: fakePayload([0x1f, 0x8b], 0xffff_ffff) }) }),
  },
};

describe("findings", () => {
  for (const [code, { raises, not = guest(), host, extra }] of Object.entries(CASES)) {
    test(code, async () => {
      const options = extra === undefined ? {} : { extra };
      expect(codes(await ask(raises, host, options))).toContain(code);
      expect(codes(await ask(not, host, options))).not.toContain(code);
    });
  }

  afterAll(() => {
    expect(Object.keys(CASES).toSorted()).toEqual(BOOT_FINDINGS.map(({ code }) => code).toSorted());
  });

  for (const family of ["Debian", "Fedora", "SUSE", "Arch", "Alpine"] as const) {
    test(`each has a text, and a remedy for ${family}`, () => {
      for (const found of BOOT_FINDINGS) {
        expect(found.title.length, found.code).toBeGreaterThan(10);
        expect(found.explanation.length, found.code).toBeGreaterThan(40);
        const { next } = forDistribution(finding(found, ""), family);
        expect(next.length, found.code).toBeGreaterThan(0);
        for (const step of next) {
          const named = /^([A-Z]\w+(?:, [A-Z]\w+)*): /.exec(step)?.[1];
          expect(named?.split(", ") ?? [family], step).toContain(family);
        }
      }
    });
  }

  test("remedies are for the guest's distribution", async () => {
    const fedora = await ask(
      guest({ "/etc/os-release": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "/boot/vmlinuz": lz4 }),
      "direct-pv",
    );
    expect(fedora.findings.flatMap(({ next }) => next).filter((step) => step.startsWith("Debian:"))).toEqual([]);
    const debian = await ask(guest({}, ["/boot/initrd.img"]));
    expect(debian.findings.flatMap(({ next }) => next)).toContain(
      "Debian: `update-initramfs -c -k all`, then `update-grub`",
    );
  });
});
