import { blsMenu, blsPlan, compareVersions, isBlsFileName, parseBlsEntry, sortBlsEntries } from "@guestprobe/grub/bls";
import { memoryWorld, runFile } from "@guestprobe/grub/script";
import { describe, expect, it } from "vitest";

const bytes = (text: string) => new TextEncoder().encode(text);
const entry = (version: string, extra = "") =>
  [
    `(hd0)/loader/entries/abc-${version}.conf`,
    `title Fedora Linux (${version})\nversion ${version}\nlinux /vmlinuz-${version}\ninitrd /initramfs-${version}.img\noptions $kernelopts rhgb\n${extra}grub_class fedora\n`,
  ] as const;

describe("entries of the Boot Loader Specification", () => {
  it("keys and values with blanks and tabs, comments, repeated keys", () => {
    const parsed = parseBlsEntry(
      "/e/id.conf",
      bytes("# c\n  title\t A b \ninitrd /a\ninitrd  /b\nlinux /k\nbroken\nversion 1\n"),
    );
    expect(parsed.id).toBe("id");
    expect(parsed.fields.map(({ key, value, at }) => [key, value, at.line])).toEqual([
      ["title", "A b ", 2],
      ["initrd", "/a", 3],
      ["initrd", "/b", 4],
      ["linux", "/k", 5],
    ]);
    // systemd-boot goes on after a line without a value.
    expect(parseBlsEntry("/e/id.conf", bytes("linux /k\nbroken\nversion 1\n"), false).fields).toHaveLength(2);
  });

  it("names that are read", () => {
    expect(["a.conf", ".conf", ".a.conf", "a.cfg", "conf"].map(isBlsFileName)).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  // Worked out by RPM's rules: numbers beat letters, longer numbers win, a tilde is before everything.
  it.each([
    ["1.0", "1.0", 0],
    ["1.10", "1.9", 1],
    ["1.0", "1.0.1", -1],
    ["1.0~rc1", "1.0", -1],
    ["1.a", "1.1", -1],
    ["007", "7", 0],
    ["1.0-", "1.0", 0],
    ["6.5.6-300.fc39", "6.5.6-200.fc39", 1],
    ["b", "a", 1],
  ])("%s against %s", (left, right, order) => {
    expect(Math.sign(compareVersions(left, right))).toBe(order);
    expect(Math.sign(compareVersions(right, left))).toBe(order === 0 ? 0 : -order);
  });

  const files = [
    entry("5.14.0-70.el9.x86_64"),
    entry("6.5.10-300.fc39.x86_64"),
    entry("6.5.6-300.fc39.x86_64"),
    entry("0-rescue"),
  ];
  const entries = files.map(([file, text]) => parseBlsEntry(file, bytes(text)));

  it("newest first, and the default by id, title or number", () => {
    expect(sortBlsEntries(entries).map(({ id }) => id)).toEqual([
      "abc-6.5.10-300.fc39.x86_64",
      "abc-6.5.6-300.fc39.x86_64",
      "abc-5.14.0-70.el9.x86_64",
      "abc-0-rescue",
    ]);
    const chosen = (wanted: string | undefined) => blsMenu(entries, { default: wanted }).default.path;
    expect(chosen(undefined)).toEqual([0]);
    expect(chosen("abc-5.14.0-70.el9.x86_64")).toEqual([2]);
    expect(chosen("abc-5.14.0-70.el9.x86_64.conf")).toEqual([2]);
    expect(chosen("Fedora Linux (6.5.6-300.fc39.x86_64)")).toEqual([1]);
    expect(chosen("3")).toEqual([3]);
    expect(chosen("abc-5*")).toEqual([2]);
    expect(chosen("none")).toEqual([0]);
  });

  it("a plan expands variables, and takes the default options when there are none", () => {
    const variables = { kernelopts: "root=/dev/a ro", default_kernelopts: "root=/dev/b" };
    expect(blsPlan(entries, 1, { variables })).toMatchObject({
      cmdline: "root=/dev/a ro rhgb",
      kernel: { at: { line: 3 } },
    });
    const bare = [parseBlsEntry("x.conf", bytes("linux /k\n")), parseBlsEntry("y.conf", bytes("title no kernel\n"))];
    expect(blsMenu(bare).entries).toHaveLength(1);
    expect(blsPlan(bare, 0, { variables })).toMatchObject({ cmdline: "root=/dev/b", initrds: [] });
  });

  it("blscfg in Red Hat's GRUB: saved_entry is an id, paths are on the volume of the entries", async () => {
    const world = memoryWorld([
      ...files,
      [
        "(hd0)/grub2/grub.cfg",
        "load_env\nset default=\"${saved_entry}\"\nset timeout=1\nset kernelopts='root=/dev/vda ro'\nblscfg\n",
      ],
      ["(hd0)/grub2/grubenv", "# GRUB Environment Block\nsaved_entry=abc-6.5.6-300.fc39.x86_64\n"],
      ["(hd0)/vmlinuz-6.5.6-300.fc39.x86_64", "k"],
      ["(hd0)/initramfs-6.5.6-300.fc39.x86_64.img", "i"],
    ]);
    const run = await runFile("/grub2/grub.cfg", { world, dialect: "redhat-2.12", prefix: "(hd0)/grub2" });
    expect(run.menu?.entries).toHaveLength(4);
    expect(run.menu?.default.path).toEqual([1]);
    expect((await run.boot()).plan).toMatchObject({
      kernel: { device: "hd0", path: "/vmlinuz-6.5.6-300.fc39.x86_64" },
      cmdline: "root=/dev/vda ro rhgb",
      initrds: [{ path: "/initramfs-6.5.6-300.fc39.x86_64.img" }],
    });
    // Debian's GRUB does not know the command, and has no menu.
    const debian = await runFile("/grub2/grub.cfg", { world, prefix: "(hd0)/grub2" });
    expect(debian.menu).toBeUndefined();
    expect(debian.doubts.some(({ kind }) => kind === "unknown-command")).toBe(true);
  });
});
